"""The skin's texture: what is finer than the mesh, where it belongs and nowhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datagen.assets import AssetFolder, Assets, list_folder
from datagen.blender.complexion import Complexion, paint
from datagen.blender.renderer import ClipRenderer
from datagen.blender.spots import melanin_spots
from datagen.geometry.posed import PosedClip
from manifests.errors import UserError
from tests.datagen.blender.people import person

Array = np.ndarray[Any, Any]


def painted(age_years: float = 40.0, **changes: object) -> tuple[PosedClip, Complexion]:
    clip, posed = person()
    return posed, paint(posed, dataclasses.replace(clip.spec.appearance, **changes), age_years)  # type: ignore[arg-type]


def at_vertices(posed: PosedClip, texture: Array) -> tuple[Array, Array]:
    """Texels [K, 4] at the corners of bare skin's faces, and their vertices [K]."""
    surface = posed.surface
    assert surface.uv is not None
    assert surface.uv_faces is not None
    bare = (surface.part == 0) & (posed.regions.clothing[surface.faces].max(axis=1) < 0.4)
    vertex, corner = np.unique(
        np.stack([surface.faces[bare].ravel(), surface.uv_faces[bare].ravel()], axis=1), axis=0
    ).T
    size = len(texture)
    u, v = surface.uv[corner].T
    column = np.clip((u * size).astype(int), 0, size - 1)
    row = np.clip(((1 - v) * size).astype(int), 0, size - 1)
    return texture[row, column], vertex


def encoded(linear: Array) -> Array:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_the_texture_agrees_with_the_vertices_and_has_no_seams() -> None:
    posed, look = painted(age_years=20.0)
    assert look.texture is not None
    texels, vertex = at_vertices(posed, look.texture)
    apart = np.abs(texels[:, :3] / 255.0 - encoded(look.colour[vertex]))
    assert np.median(apart) < 0.02
    assert np.quantile(apart.max(axis=1), 0.99) < 0.12
    order = np.argsort(vertex, kind="stable")
    twins = np.flatnonzero(np.diff(vertex[order]) == 0)
    assert len(twins) > 100  # vertices on the borders of the layout's islands
    jump = np.abs(texels[order[twins], :3].astype(int) - texels[order[twins + 1], :3])
    assert np.median(jump.max(axis=1)) <= 8
    assert np.quantile(jump.max(axis=1), 0.95) <= 25


def test_freckles_darken_the_face_and_moles_are_counted() -> None:
    (_, plain), (posed, freckled) = (painted(melanin=0.1, freckles=share) for share in (0.0, 1.0))
    assert plain.texture is not None
    assert freckled.texture is not None
    before, after = (texture[..., :3].astype(int).sum(axis=-1) for texture in (plain.texture, freckled.texture))
    changed = before != after
    assert changed.sum() > 500
    assert (after < before)[changed].mean() > 0.999
    clip, _ = person()
    look = dataclasses.replace(clip.spec.appearance, moles=7)
    spots = melanin_spots(posed, look, 30.0)
    assert len(spots.points) == 7
    middle = spots.at(spots.points)
    assert (middle >= spots.strength - 1e-9).all()
    assert not spots.at(spots.points + [0.0, 0.0, 0.02]).any()


def test_lines_deepen_with_age() -> None:
    looks = [painted(age)[1].texture for age in (20.0, 45.0, 75.0)]
    young, middle, old = (texture[..., 3].astype(int).sum() for texture in looks if texture is not None)
    assert young == 0
    assert 0 < middle < old


def test_a_head_without_texture_coordinates_has_its_vertices_colour(renderer: ClipRenderer) -> None:
    clip, posed = person()
    bare = dataclasses.replace(posed, surface=dataclasses.replace(posed.surface, uv=None, uv_faces=None))
    assert paint(bare, clip.spec.appearance).texture is None
    (frame, *_), (usual, *_) = (list(renderer.frames(clip, shown)) for shown in (bare, posed))
    person_there = usual.alpha > 250
    apart = np.abs(frame.colour.astype(int) - usual.colour)[person_there]
    assert apart.mean() < 6


def test_a_users_picture_of_skin_takes_the_paints_place(
    renderer: ClipRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 64), (40, 160, 60)).save(tmp_path / "green.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "green.png").read_bytes()[:60])
    with pytest.raises(UserError, match=r"broken\.png is no sound picture"):
        list_folder(str(tmp_path), tmp_path, (".png",), "albedo")
    (tmp_path / "broken.png").unlink()
    folder = AssetFolder(**list_folder(str(tmp_path), tmp_path, (".png",), "albedo"))
    name, sha256 = folder.choose(0.0)
    clip, posed = person()
    look = dataclasses.replace(clip.spec.appearance, albedo=name, albedo_sha256=sha256)
    green = dataclasses.replace(clip, spec=dataclasses.replace(clip.spec, appearance=look))
    monkeypatch.setattr(renderer.studio, "assets", Assets([folder]))
    before = len(renderer.studio.bpy.data.images)
    frame, *_ = renderer.frames(green, posed)
    assert len(renderer.studio.bpy.data.images) == before
    face = frame.colour[30:50, 40:56].reshape(-1, 3).astype(int)
    assert (face[:, 1] > face[:, 0]).mean() > 0.7
