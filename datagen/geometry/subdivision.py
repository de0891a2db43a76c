"""One level of Loop subdivision of a triangle mesh, as a sparse matrix.

Source: Loop, "Smooth Subdivision Surfaces Based on Triangles", 1987; the boundary rules are those of Hoppe
et al., "Piecewise Smooth Surface Reconstruction", 1994.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Subdivision:
    """One level: coarse vertices keep their indices, one new vertex an edge follows.

    Face f of the selected ones becomes four: three at its corners (in corner order), then the middle one.
    """

    matrix: sparse.csr_matrix
    """[V + E, V]: fine vertices as weights on coarse ones."""
    faces: Array
    """int32 [F', 3]."""
    parent: Array
    """int32 [F']: the coarse face that each fine one came from."""


def subdivide(faces: Array, selected: Array, vertex_count: int, smooth: bool = True) -> Subdivision:
    """Split the ``selected`` (bool [F]) faces of ``faces`` [F, 3] in four; the others stay as they are.

    ``smooth`` False places new vertices at edge middles and moves none (for texture coordinates). Edges of
    one selected face, or of more than two, are boundaries.
    """
    inner = faces[selected]
    half_edges = inner[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    edges, edge_of = np.unique(np.sort(half_edges, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(-1, 3)
    a, b, c = inner.T
    ab, bc, ca = (edge_of + vertex_count).T
    children = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]).transpose(2, 0, 1)

    fine = np.concatenate([faces[~selected], children.reshape(-1, 3)])
    parent = np.concatenate([np.flatnonzero(~selected), np.repeat(np.flatnonzero(selected), 4)])
    order = np.argsort(parent, kind="stable")

    if smooth:
        weights = _loop_weights(inner, edges, edge_of, vertex_count)
    else:
        weights = sparse.vstack([sparse.identity(vertex_count), _midpoints(edges, vertex_count)])
    return Subdivision(weights.tocsr(), fine[order].astype(np.int32), parent[order].astype(np.int32))


def refine_barycentric(face: Array, barycentric: Array, level: Subdivision) -> tuple[Array, Array]:
    """Points on coarse faces (``face`` [N], ``barycentric`` [N, 3]) -> the same on the fine faces.

    The point keeps its place in the parametrisation of its coarse triangle.
    """
    first = np.searchsorted(level.parent, face)
    split = np.searchsorted(level.parent, face, side="right") - first == 4
    u = np.asarray(barycentric, np.float64)
    corner = u.argmax(axis=1)
    at_corner = u[np.arange(len(u)), corner] >= 0.5
    near_corner = 2 * u
    near_corner[np.arange(len(u)), corner] -= 1
    middle = u + np.roll(u, -1, axis=1) - np.roll(u, -2, axis=1)
    inside = np.where(at_corner[:, None], near_corner, middle)
    child = np.where(at_corner, corner, 3)
    fine = np.where(split, first + child, first)
    return fine.astype(np.int32), np.where(split[:, None], inside, u).astype(np.float32)


def _midpoints(edges: Array, vertex_count: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(edges)), 2)
    shape = (len(edges), vertex_count)
    return sparse.csr_matrix((np.full(rows.size, 0.5), (rows, edges.ravel())), shape=shape)


def _loop_weights(faces: Array, edges: Array, edge_of: Array, vertex_count: int) -> sparse.spmatrix:
    sides = np.bincount(edge_of.ravel(), minlength=len(edges))
    interior = sides == 2
    rows = np.repeat(np.arange(len(edges)), 2)
    ends = np.where(interior[rows], 3 / 8, 1 / 2)
    opposite = faces[:, [2, 0, 1]]
    across = interior[edge_of]
    odd = sparse.csr_matrix(
        (
            np.concatenate([ends, np.full(across.sum(), 1 / 8)]),
            (
                np.concatenate([rows, edge_of[across]]),
                np.concatenate([edges.ravel(), opposite[across]]),
            ),
        ),
        shape=(len(edges), vertex_count),
    )
    return sparse.vstack([_even_weights(edges, interior, vertex_count), odd])


def _even_weights(edges: Array, interior: Array, vertex_count: int) -> sparse.csr_matrix:
    """Rows of the coarse vertices: Loop's mask inside, 1/8 3/4 1/8 on a boundary, unmoved at corners."""
    degree = np.bincount(edges.ravel(), minlength=vertex_count)
    border_degree = np.bincount(edges[~interior].ravel(), minlength=vertex_count)
    angle = 2 * np.pi / np.maximum(degree, 1)
    beta = (5 / 8 - (3 / 8 + np.cos(angle) / 4) ** 2) / np.maximum(degree, 1)

    both = np.concatenate([edges, edges[:, ::-1]])
    on_border = np.concatenate([~interior, ~interior])
    centre, neighbour = both.T
    weight = np.where(border_degree[centre] == 0, beta[centre], 0.0)
    weight = np.where((border_degree[centre] == 2) & on_border, 1 / 8, weight)
    own = 1 - np.bincount(centre, weight, minlength=vertex_count)
    every = np.arange(vertex_count)
    rows, columns = np.concatenate([every, centre]), np.concatenate([every, neighbour])
    values = np.concatenate([own, weight])
    return sparse.csr_matrix((values, (rows, columns)), shape=(vertex_count, vertex_count))
