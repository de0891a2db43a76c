"""Templates inherit, users' folders are listed, and what is wrong with either is told before rendering starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from datagen.config import CorpusConfig, load_config
from datagen.sampling.appearance import sample_appearance
from datagen.sampling.light import sample_scene
from datagen.templates import load_template, template_path
from manifests.clip import HeadInfo, Traits
from manifests.errors import UserError

HEAD = HeadInfo("open", "flame", "ab" * 32, "CC0-1.0", 100, 86, (), (0.0, 0.1, 0.0))
CORPUS = "name: mine\nclips: 8\nidentities: 4\ntemplates: {mine.yaml: 1}\n"
HDR = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 4\n" + bytes([128, 128, 128, 129]) * 8


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def images(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for k in range(count):
        Image.new("RGB", (8, 8), (40 * k, 100, 50)).save(folder / f"{k}.png")
    return folder


def test_a_child_changes_its_parent_field_by_field(tmp_path: Path) -> None:
    text = "inherits: studio_black\nlights: {key: {power_w: [1, 2]}, rim: null}\nworld: {maps: [city.exr]}\n"
    child = load_template(write(tmp_path, text))
    parent = load_template(template_path("studio_black", tmp_path, "test"))
    assert sorted(child.lights) == ["fill", "key"]
    assert child.lights["key"].power_w == (1, 2)
    assert child.lights["key"].azimuth_deg == parent.lights["key"].azimuth_deg
    assert child.world.maps == ("city.exr",)
    assert child.world.strength == parent.world.strength
    grandchild = load_template(write(tmp_path, "inherits: mine.yaml\nmirror_share: 0.1\nworld: null\n", "b.yaml"))
    assert grandchild.lights == child.lights
    assert grandchild.mirror_share == 0.1
    assert grandchild.world.maps == ()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("inherits: studio_blak", ["inherits", "did you mean studio_black?"]),
        ("inherits: none.yaml", ["inherits", "no such template"]),
        ("inherits: [quick, window]", ["inherits = ", "name or path of one template"]),
        ("inherits: mine.yaml", ["circle (mine.yaml -> mine.yaml)"]),
        ("inherits: other.yaml", ["circle (mine.yaml -> other.yaml -> mine.yaml)"]),
        ("inherits: quick\nlights: {kye: null}", ["lights.kye", "did you mean key?"]),
        ("inherits: quick\nlights: {key: {powr_w: [1, 2]}}", ["lights.key.powr_w", "did you mean power_w?"]),
        ("inherits: quick\nlights: 3", ["lights = 3", "must be"]),
        ("inherits: open_sky\nworld: {maps: [city.exr]}", ["world.sky stands instead of maps"]),
        ("background: image", ["needs background_folder"]),
        ("world: {strength: [0, 0]}", ["there may be no light"]),
        ("world: {strength: [0, 1]}", ["there may be no light"]),
        ("world: {colour: [0, 0, 0]}", ["there may be no light"]),
        ("inherits: quick\nworld: {strength: [0, 0]}\nlights: {key: {power_w: [0, 9]}}", ["there may be no light"]),
        ("inherits: quick\nworld: {strength: [0, 0]}\nlights: {key: {gels: [[0, 0, 0]]}}", ["there may be no light"]),
        ("background_folder: 3", ["background_folder = 3", "section"]),
        ("background_folder: nowhere", ["background_folder", "nowhere cannot be listed (No such file"]),
        ("background_folder: empty", ["background_folder", "holds no .png, .jpg, .jpeg file"]),
        ("world: {folder: empty}", ["world.folder", "holds no .exr, .hdr file"]),
        ("background_folder: broken", ["background_folder", "a.png is no sound picture"]),
        ("background_folder: huge", ["background_folder", "a.png is no sound picture", "20000 x 1"]),
        ("background_folder: deep", ["a.png is no sound picture", "I;16"]),
        ("world: {folder: broken}", ["world.folder", "a.exr is no sound picture"]),
        ("world: {folder: headless}", ["world.folder", "a.hdr is no sound picture", "no Radiance header"]),
    ],
)
def test_faults_are_told_in_one_line(text: str, parts: list[str], tmp_path: Path) -> None:
    for name in ("empty", "broken", "huge", "deep", "headless"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / "link.png").symlink_to("/dev/zero")
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "broken" / "a.exr").write_bytes(b"v/1\x01nothing")
    (tmp_path / "headless" / "a.hdr").write_bytes(b"-Y 2 +X 4\n")
    Image.new("RGB", (20_000, 1)).save(tmp_path / "huge" / "a.png")
    Image.new("I;16", (8, 8)).save(tmp_path / "deep" / "a.png")
    write(tmp_path, "inherits: mine.yaml", "other.yaml")
    write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, CORPUS, "corpus.yaml"))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path))
    for part in parts:
        assert part in message


def test_a_folder_is_hashed_and_its_place_does_not_matter(tmp_path: Path) -> None:
    images(tmp_path / "walls")
    (tmp_path / "walls" / "notes.txt").write_text("no picture")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.hdr").write_bytes(HDR)
    text = "background: image\nbackground_folder: walls\nworld: {folder: maps, maps: [city.exr]}"
    write(tmp_path, text)
    corpus = write(tmp_path, CORPUS + "appearance: {albedo_folder: walls}\n", "corpus.yaml")
    config = load_config(corpus)
    walls = config.templates["mine"].look.background_folder
    assert walls
    assert sorted(walls.files) == ["0.png", "1.png", "2.png"]
    assert walls.path == str(tmp_path / "walls")
    assert len(config.folders) == 3
    again = CorpusConfig.from_json(config.to_json())
    assert again == config
    assert again.content_hash(HEAD) == config.content_hash(HEAD)
    (tmp_path / "walls").rename(tmp_path / "moved")
    write(tmp_path, text.replace("walls", "moved"))
    moved = load_config(corpus, {"appearance.albedo_folder": str(tmp_path / "moved")})
    assert moved.to_json() != config.to_json()
    assert moved.content_hash(HEAD) == config.content_hash(HEAD)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "moved" / "0.png")
    changed = load_config(corpus, {"appearance.albedo_folder": str(tmp_path / "moved")})
    assert changed.content_hash(HEAD) != config.content_hash(HEAD)


def test_each_clip_draws_its_files(tmp_path: Path) -> None:
    images(tmp_path / "walls")
    write(tmp_path, "background: image\nbackground_folder: walls\n")
    corpus = write(tmp_path, CORPUS + "appearance: {albedo_folder: walls}\n", "corpus.yaml")
    config = load_config(corpus)
    look = config.templates["mine"].look
    assert look.background_folder
    scenes = [sample_scene(look, 1, index) for index in range(30)]
    assert {scene.background_image for scene in scenes} == set(look.background_folder.files)
    assert all(look.background_folder.files[s.background_image] == s.background_image_sha256 for s in scenes)
    traits = Traits(40.0, 0.5, 1.0, 0.0, 0.0)
    skins = [sample_appearance(config.appearance, traits, 1, identity) for identity in range(30)]
    assert {skin.albedo for skin in skins} == {"0.png", "1.png", "2.png"}
    plain = load_config("demo").appearance
    assert sample_appearance(plain, traits, 1, 0).albedo == ""
    assert sample_appearance(plain, traits, 1, 0).hair_colour == skins[0].hair_colour


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "..", ""])
def test_a_stored_configuration_cannot_point_elsewhere(name: str, tmp_path: Path) -> None:
    images(tmp_path / "walls")
    write(tmp_path, "background: image\nbackground_folder: walls\n")
    stored = json.loads(load_config(write(tmp_path, CORPUS, "corpus.yaml")).to_json())
    stored["templates"]["mine"]["look"]["background_folder"]["files"] = {name: "0" * 64}
    with pytest.raises(UserError, match="not the name of a file within the folder"):
        CorpusConfig.from_json(json.dumps(stored))


def test_a_long_chain_of_templates_is_told_as_such(tmp_path: Path) -> None:
    for step in range(40):
        write(tmp_path, f"inherits: t{step + 1}.yaml", f"t{step}.yaml")
    write(tmp_path, "inherits: quick", "t40.yaml")
    write(tmp_path, "inherits: t0.yaml")
    with pytest.raises(UserError, match="over 16 templates to inherit from"):
        load_config(write(tmp_path, CORPUS, "corpus.yaml"))


def test_a_head_without_texture_coordinates_takes_no_textures(tmp_path: Path) -> None:
    images(tmp_path / "walls")
    bare = dataclasses.replace(HEAD, has_uv=False)
    textured = load_config("demo", {"appearance.albedo_folder": str(tmp_path / "walls")})
    textured.check_head(HEAD)
    with pytest.raises(UserError, match=r"appearance\.albedo_folder: head 'open' has no texture coordinates.*--uv"):
        textured.check_head(bare)
    with pytest.raises(UserError, match=r"labels = .*has no texture coordinates"):
        load_config("demo", {"labels": "[uv]"}).check_head(bare)


def test_a_look_within_the_configuration_may_inherit(tmp_path: Path) -> None:
    text = CORPUS.replace("{mine.yaml: 1}", "{own: {weight: 1, look: {inherits: quick, exposure_ev: [1, 1]}}}")
    look = load_config(write(tmp_path, text, "corpus.yaml")).templates["own"].look
    assert look.exposure_ev == (1, 1)
    assert look.lights == load_template(template_path("quick", tmp_path, "test")).lights
