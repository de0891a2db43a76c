import numpy as np
import trimesh
from scipy.spatial import cKDTree

from datagen.geometry.subdivision import refine_barycentric, subdivide


def test_a_closed_mesh_agrees_with_trimesh() -> None:
    mesh = trimesh.creation.torus(1.0, 0.4, 8, 5)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32)
    for _ in range(2):
        level = subdivide(faces, np.ones(len(faces), bool), len(vertices))
        expected, _ = trimesh.remesh.subdivide_loop(vertices, faces, 1)
        vertices, faces = level.matrix @ vertices, level.faces
        assert len(vertices) == len(expected)
        assert cKDTree(vertices).query(expected)[0].max() < 1e-12
    fine = trimesh.Trimesh(vertices, faces, process=False)
    assert fine.is_watertight
    assert fine.is_winding_consistent
    assert fine.volume > 0


def test_boundaries_follow_the_boundary_rules() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    level = subdivide(faces, np.ones(2, bool), 4)
    fine = level.matrix @ vertices
    assert np.allclose(fine[0], 0.75 * vertices[0] + 0.125 * (vertices[1] + vertices[3]))
    middle_of_0_2 = fine[np.asarray(level.matrix[:, 1].todense()).ravel() == 1 / 8]
    assert any(np.allclose(point, [0.5, 0.5, 0]) for point in middle_of_0_2)
    assert np.allclose(np.asarray(level.matrix.sum(axis=1)), 1)


def test_faces_that_are_not_selected_stay() -> None:
    mesh = trimesh.creation.icosphere(1)
    faces = np.asarray(mesh.faces, np.int32)
    two = np.concatenate([faces, faces + len(mesh.vertices)])
    vertices = np.concatenate([mesh.vertices, mesh.vertices + 5])
    selected = np.arange(len(two)) < len(faces)
    level = subdivide(two, selected, len(vertices))
    fine = level.matrix @ vertices
    assert np.array_equal(level.faces[~selected[level.parent]], two[~selected])
    assert np.array_equal(fine[len(mesh.vertices) : len(vertices)], vertices[len(mesh.vertices) :])
    assert (np.bincount(level.parent) == np.where(selected, 4, 1)).all()


def test_points_on_faces_stay_where_they_are_on_a_flat_split() -> None:
    mesh = trimesh.creation.icosphere(1)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32)
    rng = np.random.default_rng(0)
    face, weights = rng.integers(0, len(faces), 300), rng.dirichlet(np.ones(3), 300)
    level = subdivide(faces, np.arange(len(faces)) % 3 > 0, len(vertices), smooth=False)
    fine_face, fine_weights = refine_barycentric(face, weights, level)
    before = np.einsum("nkx,nk->nx", vertices[faces[face]], weights)
    after = np.einsum("nkx,nk->nx", (level.matrix @ vertices)[level.faces[fine_face]], fine_weights)
    assert np.abs(before - after).max() < 1e-6
    assert fine_weights.min() > -1e-6
