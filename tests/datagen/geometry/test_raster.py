import numpy as np
import pytest
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from datagen.geometry.cameras import camera_centre, look_at, pixel_rays, project
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.raster import View
from tests.datagen.geometry.scenes import RADIUS, Array, cameras_around, sphere

SIZE = 96


def analytic_sphere(intrinsics: Array, pose: Array) -> tuple[Array, Array]:
    """z-depth and unit normals [H, W] of the sphere, NaN where the ray misses."""
    direction = pixel_rays(intrinsics, pose, SIZE, SIZE)
    centre = camera_centre(pose)
    a, b = (direction**2).sum(-1), direction @ centre
    with np.errstate(invalid="ignore"):
        depth = (-b - np.sqrt(b * b - a * (centre @ centre - RADIUS**2))) / a
    return depth, (centre + depth[..., None] * direction) / RADIUS


def test_depth_and_normals_of_a_sphere_from_all_sides() -> None:
    vertices, faces = sphere(5)
    normals = vertex_normals(vertices, faces)
    for intrinsics, pose in cameras_around(12, seed=0):
        hits = View(vertices, faces, intrinsics, pose).hits(SIZE, SIZE)
        depth, truth = analytic_sphere(intrinsics, pose)
        covered = np.isfinite(depth)
        assert np.count_nonzero(covered != hits.mask) < 0.02 * covered.sum()
        both = (covered & hits.mask)[hits.mask]
        facing = -(truth * pixel_rays(intrinsics, pose, SIZE, SIZE)).sum(-1)[hits.mask] > 0.1
        assert np.abs(hits.depth - depth[hits.mask])[both & facing].max() < 3e-4
        assert np.median(np.abs(hits.depth - depth[hits.mask])[both]) < 3e-5
        made = shading_normals(hits, faces, normals)
        error = np.degrees(np.arccos(np.clip((made * truth[hits.mask]).sum(-1), -1, 1)))
        assert error[both & facing].max() < 0.3
        assert np.median(error[both]) < 0.05
        assert np.allclose(np.linalg.norm(made, axis=-1), 1, atol=1e-6)
        assert not hits.back.any()


@pytest.mark.parametrize("seed", range(4))
def test_a_ray_tracer_sees_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.icosphere(3)
    shapes = [mesh.vertices * rng.uniform(0.02, 0.08, 3) + rng.normal(size=3) * 0.04 for _ in range(6)]
    vertices = np.concatenate(shapes).astype(np.float32)
    faces = np.concatenate([mesh.faces + i * len(mesh.vertices) for i in range(6)]).astype(np.int32)
    faces = faces[rng.random(len(faces)) > 0.1]
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, vertices, faces)
    for intrinsics, pose in cameras_around(3, seed):
        hits = View(vertices, faces, intrinsics, pose).hits(SIZE, SIZE)
        direction = pixel_rays(intrinsics, pose, SIZE, SIZE).reshape(-1, 3).astype(np.float32)
        origin = np.broadcast_to(camera_centre(pose), direction.shape).astype(np.float32)
        found = scene.run(origin, direction, output=True)
        hit = (found["primID"] >= 0).reshape(SIZE, SIZE)
        assert np.count_nonzero(hit != hits.mask) <= 2
        both = hit & hits.mask
        depth = hits.picture(hits.depth)
        near = np.abs(depth - found["tfar"].reshape(SIZE, SIZE)) < 1e-5
        assert np.count_nonzero(both & ~near) <= 2
        face = hits.picture(hits.face)
        assert np.count_nonzero((face != found["primID"].reshape(SIZE, SIZE)) & both) <= 4
        back = (found["Ng"] * direction).sum(-1).reshape(SIZE, SIZE) > 0
        assert np.count_nonzero((hits.picture(hits.back) != back) & both) <= 4
        assert back[both].any()


def test_interpolation_is_correct_in_perspective() -> None:
    vertices = np.array([[-1.0, 0, 1], [1, 0, 1], [0, 0.1, -9]], np.float32)
    faces = np.array([[0, 1, 2]], np.int32)
    intrinsics, pose = cameras_around(1, seed=1)[0][0], look_at([0, 1, 3], [0, 0, -2])
    hits = View(vertices, faces, intrinsics, pose).hits(SIZE, SIZE)
    position = hits.interpolate(faces, vertices)
    rows, columns = np.nonzero(hits.mask)
    pixels, depth = project(position, intrinsics, pose)
    assert len(rows) > 100
    assert np.abs(pixels - np.stack([columns + 0.5, rows + 0.5], -1)).max() < 1e-3
    assert np.abs(depth - hits.depth).max() < 1e-5


def test_there_are_no_cracks_between_faces() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 33), np.linspace(-1, 1, 33), [0.0]), -1).reshape(-1, 3)
    corner = np.arange(32 * 33).reshape(32, 33)[:, :-1].ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 34], 1), np.stack([corner, corner + 34, corner + 33], 1)]
    )
    intrinsics = np.array([[32.0, 0, 32.5], [0, 32.0, 32.5], [0, 0, 1]])
    pose = look_at([0, 0, 2], [0, 0, 0])
    hits = View(grid.astype(np.float32), faces, intrinsics, pose).hits(65, 65)
    inner = hits.mask[17:48, 17:48]
    assert inner.all(), "pixel centres that fall on edges and corners hit too"


def test_faces_behind_the_camera_are_not_seen() -> None:
    vertices, faces = sphere(3)
    pose = look_at([0, 0, 0.5], [0, 0, 1])
    intrinsics = cameras_around(1, seed=2)[0][0]
    assert not View(vertices, faces, intrinsics, pose).hits(SIZE, SIZE).mask.any()
    inside = View(vertices, faces, intrinsics, look_at([0, 0, 0], [0, 0, 1])).hits(SIZE, SIZE)
    assert inside.mask.all()
    assert inside.back.all()
    assert np.allclose(inside.depth[len(inside.depth) // 2], RADIUS, atol=0.01)


def test_normals_seen_from_behind_face_the_viewer() -> None:
    vertices, faces = sphere(3)
    intrinsics, pose = cameras_around(1, seed=3)[0][0], look_at([0, 0, 0], [0, 0, 1])
    hits = View(vertices, faces, intrinsics, pose).hits(SIZE, SIZE)
    normals = shading_normals(hits, faces, vertex_normals(vertices, faces))
    assert (normals * hits.interpolate(faces, vertices)).sum(-1).max() < 0


def test_depth_at_points_agrees_with_the_picture() -> None:
    vertices, faces = sphere(4)
    for intrinsics, pose in cameras_around(4, seed=4):
        view = View(vertices, faces, intrinsics, pose)
        hits = view.hits(SIZE, SIZE)
        rows, columns = np.mgrid[0:SIZE:5, 0:SIZE:5].reshape(2, -1)
        at = view.depth_at(np.stack([columns + 0.5, rows + 0.5], -1))
        expected = hits.picture(hits.depth)[rows, columns]
        assert np.allclose(np.where(np.isfinite(at), at, 0), expected, atol=1e-6)


def test_vertex_normals_weigh_faces_by_their_angle() -> None:
    box = trimesh.creation.box()
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces)
    expected = np.sign(vertices) / np.sqrt(3)
    assert np.allclose(vertex_normals(vertices, faces), expected, atol=1e-6)
