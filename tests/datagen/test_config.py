"""Configurations load, survive a round trip, and say in one line what is wrong with them."""

import dataclasses
import json
from pathlib import Path

import pytest

from datagen.config import CorpusConfig, load_config, shipped_corpora
from datagen.templates import load_template, shipped_templates, template_path
from manifests.clip import HeadInfo
from manifests.conventions import RECIPES, SPLITS, VIEW_LABELS
from manifests.errors import UserError

HEAD = HeadInfo("open", "flame", "ab" * 32, "CC0-1.0", 100, 86, (), (0.0, 0.1, 0.0))
BASE = "name: mine\nclips: 8\nidentities: 4\n"


def write(folder: Path, text: str, name: str = "corpus.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_shipped_configurations_load() -> None:
    assert shipped_corpora() == ["cluster", "demo", "paper"]
    for name in shipped_corpora():
        assert load_config(name).name == name


def test_demo_is_what_it_must_be() -> None:
    demo = load_config("demo")
    assert (demo.clips, demo.identities, demo.views, demo.frames, demo.resolution) == (
        8,
        4,
        2,
        17,
        (128, 128),
    )
    assert all(weight == 1 for _, weight in demo.recipes.items())


def test_paper_and_cluster_formats() -> None:
    paper, cluster = load_config("paper"), load_config("cluster")
    assert (paper.frames, paper.fps, paper.resolution) == (81, 15, (512, 512))
    assert paper.templates["studio_black"].look.background == "black"
    assert cluster.clips == 10_000_000
    assert cluster.render.device != "cpu"


def test_paper_file_documents_every_default() -> None:
    """It is written out in full, and says what leaving everything out would say, but for what it is about."""
    bare = {"name": "paper", "clips": 20_000, "identities": 2000, "templates": load_config("paper").templates}
    plain = CorpusConfig(**bare).model_dump(exclude={"clips_per_shard", "splits", "render"})  # type: ignore[arg-type]
    assert plain == load_config("paper").model_dump(exclude={"clips_per_shard", "splits", "render"})


def test_vocabulary_agrees_with_the_manifest() -> None:
    config = load_config("demo", {"labels": json.dumps(list(VIEW_LABELS))})
    assert config.labels == VIEW_LABELS
    assert tuple(name for name, _ in config.recipes.items()) == RECIPES
    assert tuple(name for name, _ in config.splits.items()) == SPLITS


@pytest.mark.parametrize("name", shipped_templates())
def test_shipped_templates_load(name: str) -> None:
    load_template(template_path(name, Path("."), "test"))


def test_all_fields_have_a_meaning() -> None:
    fields = CorpusConfig.model_fields
    undocumented = [name for name, field in fields.items() if not field.description and name not in PLAIN]
    assert undocumented == []


PLAIN = {"seed", "recipes", "splits", "identity", "appearance", "motion", "camera", "render"}
"""Sections, which document themselves, and what needs no explanation."""


def test_json_round_trip_needs_no_files(tmp_path: Path) -> None:
    write(tmp_path, "lights: {key: {azimuth_deg: [0, 1], elevation_deg: [2, 3], power_w: [4, 5]}}", "mine.yaml")
    config = load_config(write(tmp_path, BASE + "templates: {mine.yaml: 1, quick: 2}"))
    text = config.to_json()
    (tmp_path / "mine.yaml").unlink()
    again = CorpusConfig.from_json(text)
    assert again == config
    assert again.to_json() == text
    assert again.content_hash(HEAD) == config.content_hash(HEAD)
    assert again.templates["mine"].look.lights["key"].power_w == (4, 5)
    with pytest.raises(UserError, match="not JSON"):
        CorpusConfig.from_json(text[:-5])


def test_hash_covers_all_but_the_number_of_clips() -> None:
    base = load_config("demo").content_hash(HEAD)
    assert len(base) == 64
    assert int(base, 16)
    assert load_config("demo", {"clips": "1000"}).content_hash(HEAD) == base
    assert load_config("demo", {"fps": "15.0"}).content_hash(HEAD) == base
    for key, value in {
        "seed": "1", "name": "x", "identities": "5", "frames": "21", "camera.yaw_deg": "[-90, 89]",
        "render.samples": "17", "templates.window": "2", "labels": "[depth]", "clips_per_shard": "5",
        "splits.test": "0.26", "motion.speed_deg_per_s": "100", "identity.spread": "0.9",
    }.items():  # fmt: skip
        assert load_config("demo", {key: value}).content_hash(HEAD) != base, key
    assert load_config("demo").content_hash(dataclasses.replace(HEAD, sha256="cd" * 32)) != base


def test_hash_sees_into_templates(tmp_path: Path) -> None:
    look = "lights: {key: {azimuth_deg: [0, 1], elevation_deg: [2, 3], power_w: [4, %d]}}"
    corpus = write(tmp_path, BASE + "templates: {mine.yaml: 1}")
    hashes = set()
    for power in (5, 6, 5):
        write(tmp_path, look % power, "mine.yaml")
        hashes.add(load_config(corpus).content_hash(HEAD))
    assert len(hashes) == 2


def test_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    first = load_config(
        write(tmp_path, BASE + "templates: {quick: 1, window: 2}\nrecipes: {phone: 1, studio: 2}", "a.yaml")
    )
    second = load_config(
        write(tmp_path, "recipes: {studio: 2, phone: 1}\ntemplates: {window: 2, quick: 1}\n" + BASE, "b.yaml")
    )
    assert first.content_hash(HEAD) == second.content_hash(HEAD)


def test_overrides_are_parsed_as_yaml() -> None:
    config = load_config("demo", {"clips": "100", "camera.yaw_deg": "[-30, 30]", "recipes": "{phone: 1}", "fps": "3e1"})
    assert (config.clips, config.camera.yaw_deg, config.fps) == (100, (-30, 30), 30)
    assert dict(config.recipes.items()) == {"phone": 1, "studio": 0, "view_sweep": 0, "dynamic_sweep": 0}
    assert config.views == 2


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config("demo").clips = 9  # type: ignore[misc]


FAULTS = {
    "fraems: 17": ["fraems", "did you mean frames?"],
    "camera: {yaw_degs: [1, 2]}": ["camera.yaw_degs", "did you mean yaw_deg?"],
    "colour: 3": ["colour", "unknown key", "known keys: name, seed"],
    "frames: 18": ["frames = 18", "4k+1", "17 and 21"],
    "frames: 0": ["frames = 0", "4k+1"],
    "frames: '17'": ['frames = "17"', "whole number"],
    "fps: fast": ['fps = "fast"', "valid number"],
    "fps: .nan": ["fps = NaN", "finite"],
    "fps: true": ["fps = true", "number"],
    "seed: 1.5": ["seed = 1.5", "whole number"],
    "seed: -1": ["seed = -1", "between 0 and 9223372036854775807"],
    "views: 101": ["views = 101", "between 1 and 100"],
    "clips_per_shard: 0": ["clips_per_shard = 0", "between 1"],
    "head: 3": ["head = 3", "string"],
    "resolution: [127, 128]": ["resolution = [127, 128]", "multiple of 8"],
    "resolution: [128]": ["resolution = [128]", "[width, height]"],
    "resolution: 128": ["resolution = 128", "[width, height]"],
    "camera: {yaw_deg: [30, -30]}": ["camera.yaw_deg = [30, -30]", "write [-30, 30]"],
    "camera: {yaw_deg: [-300, 30]}": ["camera.yaw_deg = [-300, 30]", "between -180 and 180"],
    "camera: {distance_m: [0.1, 1]}": ["camera.distance_m = [0.1, 1]", "between 0.35 and 10"],
    "camera: {head_share: 1}": ["camera.head_share = 1", "[low, high]"],
    "camera: {head_share: [1]}": ["camera.head_share = [1]", "[low, high]"],
    "camera: {yaw_deg: [a, 1]}": ["camera.yaw_deg.0", "number"],
    "camera: 3": ["camera = 3", "section"],
    "motion: {yaw_deg: [-90, 90]}": ["motion.yaw_deg = [-90, 90]", "between -80 and 80"],
    "recipes: {phon: 1}": ["recipes.phon", "did you mean phone?"],
    "recipes: {phone: 0}": ["recipes = ", "at least one weight above 0"],
    "recipes: {phone: -1}": ["recipes.phone = -1", "between 0 and"],
    "recipes: [phone]": ["recipes = ", "section"],
    "templates: {studio_blak: 1}": ["templates.studio_blak", "did you mean studio_black?"],
    "templates: {none.yaml: 1}": [
        "templates.none.yaml",
        "shipped templates: film, night, open_sky, outdoor, quick, ring_light, studio, studio_black, window",
    ],
    "templates: {quick: -1}": ["templates.quick", "-1", "between 0 and"],
    "templates: {quick: 0}": ["templates = ", "at least one weight above 0"],
    "templates: {}": ["templates", "at least one weight above 0"],
    "templates: [quick]": ["templates = ", "name or path: weight"],
    "labels: [depht]": ['labels.0 = "depht"', "depth, normals, segmentation, uv or flow"],
    "labels: [depth, depth]": ["labels = ", "keep each once"],
    "labels: depth": ['labels = "depth"', "list"],
    "render: {device: gpu}": ['render.device = "gpu"', "cpu, cuda, optix, hip or metal"],
    "render: {subdivision: 3}": ["render.subdivision = 3", "between 0 and 2"],
    "clips: 9": ["clips", "twice"],
    "render: {samples: 3, samples: 4}": ["samples", "twice"],
    "seed: [": ["line", "not valid YAML"],
    "motion: &a {x: *a}": ["aliases", "write the value out"],
    "labels: !!int ''": ["tags"],
    "camera: {distance_m: [0.35, 0.35], head_share: null, aim_height_m: [-0.4, -0.4]}": ["camera.distance_m", "0.2 m"],
    "2020-01-01: 3": ["not plain settings"],
    "seed: !!python/object/apply:os.getcwd []": ["not valid YAML"],
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_fault_is_told_in_one_line(line: str, tmp_path: Path) -> None:
    path = write(tmp_path, BASE + line + "\n")
    with pytest.raises(UserError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in FAULTS[line]:
        assert part in message


@pytest.mark.parametrize(
    ("name", "text"),
    [("Mine", "name: Mine"), ("empty", "name: ''"), ("path", "name: ../x"), ("number", "name: 3")],
)
def test_names_make_safe_keys(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name = "):
        load_config(write(tmp_path, text + "\nclips: 8\nidentities: 4\n"))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        ({"frames": "18"}, ["override frames=18", "17 and 21"]),
        ({"clips": "abc"}, ["override clips=abc", "whole number"]),
        ({"clips.a": "1"}, ["override clips.a", "clips is a plain value"]),
        ({"camera.yaw": "[1, 2]"}, ["override camera.yaw", "did you mean yaw_deg?"]),
        ({"camera.yaw_deg": "[1"}, ["override camera.yaw_deg", "not valid YAML"]),
        ({"a..b": "1"}, ["a..b", "not a field path"]),
        ({"templates.quik": "1"}, ["override templates.quik", "did you mean quick?"]),
    ],
)
def test_a_faulty_override_is_named(overrides: dict[str, str], parts: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_config("demo", overrides)
    assert all(part in str(caught.value) for part in parts)
    assert "\n" not in str(caught.value)


def test_missing_fields_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name: missing"):
        load_config(write(tmp_path, "clips: 8\nidentities: 4\n"))
    with pytest.raises(UserError, match=r"name: missing.*2 more faults"):
        load_config(write(tmp_path, ""))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"demoo: no such configuration file; did you mean demo\?"):
        load_config("demoo")
    with pytest.raises(UserError, match="not a file"):
        load_config(tmp_path)
    with pytest.raises(UserError, match="must be a mapping"):
        load_config(write(tmp_path, "- a\n- b\n"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        load_config(binary)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("lihgts: {}", ["lihgts", "did you mean lights?"]),
        ("background: white", ['background = "white"', "black, colour, world or image"]),
        ("background: colour", ["background_colours"]),
        ("background: world", ["world.maps"]),
        ("world: {strength: [0, 0]}", ["no light"]),
        ("world: {maps: [beach.exr]}", ["world.maps.0", "city.exr"]),
        ("world: {colour: [1, 2, 0]}", ["world.colour", "between 0 and 1"]),
        ("lights: {key: {azimuth_deg: [0, 1]}}", ["lights.key.elevation_deg", "missing"]),
        ("lights: {key: {azimut_deg: [0, 1]}}", ["lights.key.azimut_deg", "did you mean azimuth_deg?"]),
    ],
)
def test_a_fault_in_a_template_names_its_file(text: str, parts: list[str], tmp_path: Path) -> None:
    template = write(tmp_path, text, "mine.yaml")
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, BASE + "templates: {mine.yaml: 1}"))
    message = str(caught.value)
    assert message.startswith(str(template))
    assert "\n" not in message
    assert all(part in message for part in parts)


def test_two_templates_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "exposure_ev: [0, 0]", "quick.yaml")
    with pytest.raises(UserError, match="second template named quick"):
        load_config(write(tmp_path, BASE + "templates: {quick: 1, quick.yaml: 1}"))
