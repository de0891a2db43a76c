import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from datagen.geometry.cameras import intrinsics_from_focal, look_at, project
from datagen.geometry.labels import Labeller, ViewLabels
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.geometry.raster import View
from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel, load_head
from manifests.clip import Cameras, Clip
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL, SEGMENTATION_CLASSES, VIEW_LABELS
from manifests.errors import UserError
from tests.datagen.geometry.scenes import Array, make_clip, make_motion, sphere_clip, worn

SIZE = 112
FRONT, SIDE, BEHIND = 0, 1, 2
CLASS = {name: index for index, name in enumerate(SEGMENTATION_CLASSES)}


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def surface(head: HeadModel) -> Surface:
    return make_surface(head, 1)


@pytest.fixture(scope="module")
def talking(head: HeadModel, surface: Surface) -> tuple[Clip, PosedClip]:
    """Two frames of a head that opens its mouth and turns, before cameras in front, at its left, behind."""
    motion = make_motion(2, head.info.expression_size)
    expression, neck = motion.expression.copy(), motion.neck.copy()
    expression[1, head.info.expression_names.index("jawOpen")] = 0.7
    neck[1] = [0.05, 0.06, 0]
    motion = dataclasses.replace(motion, expression=expression, neck=neck)
    centre = np.array(head.info.head_centre)
    way = np.array([[[0, 0, 1], [0.05, 0, 1]], [[1, 0, 0], [1, 0, 0]], [[0, 0, -1], [0, 0, -1]]])
    poses = look_at(centre + 0.8 * way, centre, 0.1)
    intrinsics = np.broadcast_to(intrinsics_from_focal(80, SIZE, SIZE), (3, 2, 3, 3))
    clip = make_clip(motion, Cameras(intrinsics, poses, SIZE, SIZE), VIEW_LABELS, head.info)
    return clip, pose_clip(clip, head, surface)


def label(talking: tuple[Clip, PosedClip], frame: int, view: int) -> ViewLabels:
    clip, posed = talking
    camera = clip.cameras.intrinsics[view, frame], clip.cameras.world_to_camera[view, frame]
    mask = View(posed.vertices[frame], posed.surface.faces, *camera).hits(SIZE, SIZE).mask
    return Labeller(clip, posed).label(frame, view, mask.astype(np.uint8) * 255, worn((SIZE, SIZE)))


def texture(talking: tuple[Clip, PosedClip], frame: int, view: int) -> tuple[Array, Array]:
    """A picture [H, W] painted by rest position, and the depth under it."""
    clip, posed = talking
    camera = clip.cameras.intrinsics[view, frame], clip.cameras.world_to_camera[view, frame]
    hits = View(posed.vertices[frame], posed.surface.faces, *camera).hits(SIZE, SIZE)
    paint = hits.interpolate(posed.surface.faces, posed.rest)
    return hits.picture(np.sin(paint @ [90, 110, 60]).astype(np.float32)), hits.picture(hits.depth)


def test_flow_warps_the_next_frame_back(talking: tuple[Clip, PosedClip]) -> None:
    labels = label(talking, 0, FRONT)
    now, _ = texture(talking, 0, FRONT)
    then, depth_then = texture(talking, 1, FRONT)
    assert labels.flow is not None
    rows, columns = np.nonzero(np.any(labels.flow != 0, axis=-1))
    target = np.stack([columns, rows], -1) + labels.flow[rows, columns]
    at = target[:, ::-1].T
    warped = map_coordinates(then, at, order=1)
    clip, posed = talking
    camera = clip.cameras.intrinsics[FRONT, 0], clip.cameras.world_to_camera[FRONT, 0]
    hits = View(posed.vertices[0], posed.surface.faces, *camera).hits(SIZE, SIZE)
    later = hits.interpolate(posed.surface.faces, posed.vertices[1])
    _, expected = project(later, clip.cameras.intrinsics[FRONT, 1], clip.cameras.world_to_camera[FRONT, 1])
    expected = hits.picture(expected)[rows, columns]
    visible = np.abs(map_coordinates(depth_then, at, order=1) - expected) < 0.002
    error = np.abs(warped - now[rows, columns])[visible]
    unmoved = np.abs(then[rows, columns] - now[rows, columns])[visible]
    assert visible.mean() > 0.8
    assert np.linalg.norm(labels.flow[rows, columns], axis=1).max() > 4
    assert np.median(error) < 0.02
    assert np.percentile(error, 95) < 0.1
    assert np.median(unmoved) > 8 * np.median(error)


def test_flow_of_the_last_frame_is_zero(talking: tuple[Clip, PosedClip]) -> None:
    flow = label(talking, 1, FRONT).flow
    assert flow is not None
    assert not flow.any()


def test_landmarks_are_the_projected_vertices(talking: tuple[Clip, PosedClip], head: HeadModel) -> None:
    clip, posed = talking
    for frame in (0, 1):
        for view in range(3):
            vertices = posed.vertices[frame].astype(np.float64)
            pixels = []
            for face, weights in zip(posed.surface.landmark_faces, posed.surface.landmark_barycentric, strict=True):
                point = weights @ vertices[posed.surface.faces[face]]
                local = clip.cameras.world_to_camera[view, frame] @ [*point, 1]
                x, y, z = clip.cameras.intrinsics[view, frame] @ local[:3]
                pixels.append([x / z, y / z])
            assert np.abs(label(talking, frame, view).landmarks - pixels).max() < 1e-3
    unrefined = np.einsum(
        "kcx,kc->kx", head.rest(clip.motion.shape)[head.faces[head.landmark_faces]], head.landmark_barycentric
    )
    assert np.abs(posed.rest_landmarks - unrefined).max() < 0.002, "subdivision moves landmarks little"


def test_landmarks_are_seen_from_where_they_face(talking: tuple[Clip, PosedClip]) -> None:
    front, side, behind = (label(talking, 0, view).visible for view in (FRONT, SIDE, BEHIND))
    inner = np.r_[17:60, RIGHT_PUPIL, LEFT_PUPIL]
    assert front[inner].mean() > 0.95
    assert side[LEFT_PUPIL]
    assert not side[RIGHT_PUPIL]
    assert not side[36:42].any(), "the right eye is on the far side"
    assert not behind[17:].any()


def test_landmarks_are_hidden_by_hair_and_by_the_frame(talking: tuple[Clip, PosedClip]) -> None:
    clip, posed = talking
    alpha, hair = np.full((SIZE, SIZE), 255, np.uint8), np.zeros((SIZE, SIZE))
    pixels = Labeller(clip, posed).label(0, FRONT, alpha, worn(alpha.shape, hair=hair)).landmarks
    hair[: int(pixels[30, 1])] = 0.6
    visible = Labeller(clip, posed).label(0, FRONT, alpha, worn(alpha.shape, hair=hair)).visible
    assert not visible[17:27].any()
    assert visible[57]
    cameras = dataclasses.replace(clip.cameras, intrinsics=clip.cameras.intrinsics + 0.0)
    cameras.intrinsics[FRONT, 0, 1, 2] -= pixels[30, 1]
    moved = Labeller(dataclasses.replace(clip, cameras=cameras), posed).label(0, FRONT, alpha, worn(alpha.shape))
    assert (moved.landmarks[17:27, 1] < 0).all()
    assert not moved.visible[17:27].any()


def test_pose_normals_do_not_know_the_expression(
    talking: tuple[Clip, PosedClip], head: HeadModel, surface: Surface
) -> None:
    clip, _ = talking
    neutral = dataclasses.replace(clip, motion=clip.motion.without_expression())
    still = label((neutral, pose_clip(neutral, head, surface)), 1, FRONT)
    talks = label(talking, 1, FRONT)
    assert talks.normals is not None
    assert np.array_equal(talks.pose_normals, still.pose_normals)
    assert np.array_equal(still.pose_normals, still.normals)
    assert not np.array_equal(talks.normals, talks.pose_normals)
    length = np.linalg.norm(talks.pose_normals, axis=-1)
    assert np.all((length == 0) | (np.abs(length - 1) < 1e-5))


def test_segmentation_finds_the_features(talking: tuple[Clip, PosedClip]) -> None:
    labels = label(talking, 0, FRONT)
    classes = labels.segmentation
    assert classes is not None

    def at(points: Array) -> list[str]:
        columns, rows = np.floor(points).astype(int).T
        return [SEGMENTATION_CLASSES[c] for c in classes[rows, columns]]

    marks = labels.landmarks
    assert at(marks[[RIGHT_PUPIL, LEFT_PUPIL]]) == ["iris", "iris"]
    assert at((marks[[51, 57]] + marks[[62, 66]]) / 2) == ["lips", "lips"]
    assert at(marks[[18, 19, 24, 25]]) == ["brows"] * 4
    assert at(marks[[30, 28, 33]]) == ["skin"] * 3
    assert at(marks[[8]] + [0, 14]) == ["neck"]
    side = label(talking, 0, SIDE).segmentation
    assert side is not None
    assert np.count_nonzero(side == CLASS["ears"]) > 30
    assert np.count_nonzero(side == CLASS["clothing"]) > 30
    opened = label(talking, 1, FRONT).segmentation
    assert opened is not None
    inside = np.isin(opened, [CLASS["teeth"], CLASS["tongue"]])
    assert np.count_nonzero(inside) > np.count_nonzero(np.isin(classes, [CLASS["teeth"], CLASS["tongue"]]))


def test_segmentation_is_background_exactly_where_alpha_is_low(talking: tuple[Clip, PosedClip]) -> None:
    clip, posed = talking
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    hair = rng.random((SIZE, SIZE))
    classes = Labeller(clip, posed).label(0, FRONT, alpha, worn(alpha.shape, hair=hair)).segmentation
    assert classes is not None
    assert np.array_equal(classes == 0, alpha < 128)
    assert (classes[(hair > 0.5) & (alpha >= 128)] == CLASS["hair"]).all()


def test_depth_and_uv_belong_to_the_surface_seen() -> None:
    clip, posed = sphere_clip(2, 2, 64, ("depth", "uv"))
    for frame in (0, 1):
        labels = Labeller(clip, posed).label(frame, 1, np.zeros((64, 64), np.uint8), worn((64, 64)))
        assert labels.depth is not None
        assert labels.uv is not None
        seen = labels.depth > 0
        u = labels.uv[seen]
        camera = clip.cameras.world_to_camera[1, frame]
        local = posed.vertices[frame] @ camera[:3, :3].T + camera[:3, 3]
        rows, columns = np.nonzero(seen)
        ray = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1)
        ray = ray @ np.linalg.inv(clip.cameras.intrinsics[1, frame]).T
        point = (ray * labels.depth[seen][:, None] - camera[:3, 3]) @ camera[:3, :3]
        scale, lift = (1.0, 0.0) if frame == 0 else (1.2, 0.02)
        rest = (point - [0, lift, 0]) / scale
        assert np.abs(rest[:, :2] / 0.4 + 0.5 - u).max() < 1e-4
        assert labels.depth[seen].min() >= local[:, 2].min() - 1e-6
        assert labels.normals is None
        assert labels.segmentation is None


def test_uv_of_a_head_without_any_is_refused() -> None:
    clip, posed = sphere_clip(1, 1, 32, ("uv",))
    bare = dataclasses.replace(posed, surface=dataclasses.replace(posed.surface, uv=None, uv_faces=None))
    with pytest.raises(UserError, match=r"labels: uv .*'ball'.*leave uv out"):
        Labeller(clip, bare)
