"""What the page gets of one clip, sound or damaged, over HTTP."""

from __future__ import annotations

import io
import itertools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datagen.probe import mesh_probe
from manifests.browse import Server
from tests.conftest import Generated
from tests.manifests.browse.asking import ask, refused, told
from tests.manifests.browse.rows import first_rows, put_first_rows


def test_a_clip_comes_with_all_that_its_row_says(url: str, corpus: Generated) -> None:
    row = corpus.rows()[1]
    clip = told(url, "/api/clip", key=row["key"])
    assert {name: clip["row"][name] for name in row if name != "members"} == {
        name: value for name, value in row.items() if name != "members"
    }
    assert [member["name"] for member in clip["members"]] == [member["name"] for member in row["members"]]
    assert [view["number"] for view in clip["views"]] == [0, 1]
    assert clip["replay"] == f"factorportrait replay {corpus.out} {row['key']}"
    assert json.loads(clip["spec"])["index"] == 1


def test_pictures_are_those_of_the_corpus(url: str, corpus: Generated) -> None:
    row = corpus.rows()[0]
    sample = corpus.sample(row)
    for layer in ("rgb", "alpha", "segmentation", "pose_normals", "normals", "depth", "uv", "flow"):
        status, body = ask(url, "/api/frames", key=row["key"], view=1, layer=layer, start=0)
        assert status == 200, body
        images = [Image.open(io.BytesIO(data)) for data in unpacked(body)]
        assert len(images) == row["frames"]
        assert {image.size for image in images} == {(row["width"], row["height"])}
        if layer == "rgb":
            difference = np.asarray(images[3], np.int16) - sample["v01.rgb.mp4"][3]
            assert np.abs(difference).mean() < 2
        if layer == "segmentation":
            clear = np.asarray(images[3].convert("RGBA"))[..., 3] == 0
            assert (clear == (sample["v01.segmentation.mkv"][3] == 0)).all()
    status, body = ask(url, "/api/thumbnail", key=row["key"])
    assert Image.open(io.BytesIO(body)).format == "JPEG"


def unpacked(body: bytes) -> list[bytes]:
    count = struct.unpack_from("<I", body)[0]
    ends = np.cumsum([4 + 4 * count, *struct.unpack_from(f"<{count}I", body, 4)])
    assert ends[-1] == len(body)
    return [body[start:stop] for start, stop in itertools.pairwise(ends)]


def test_cameras_landmarks_and_mesh_are_those_of_the_corpus(url: str, corpus: Generated) -> None:
    row = corpus.rows()[0]
    sample = corpus.sample(row)
    views, frames = row["views"], row["frames"]

    def floats(path: str) -> np.ndarray[Any, Any]:
        status, body = ask(url, path, key=row["key"])
        assert status == 200, body
        return np.frombuffer(body, "<f4")

    cameras = floats("/api/cameras").reshape(views, frames, 25)
    np.testing.assert_allclose(cameras[..., :9].reshape(views, frames, 3, 3), sample["cameras.npz"]["K"], rtol=1e-6)
    landmarks = floats("/api/landmarks").reshape(views, frames, 70, 3)
    np.testing.assert_array_equal(landmarks[..., :2], sample["landmarks.npz"]["pixels"])
    np.testing.assert_array_equal(landmarks[..., 2] == 1, sample["landmarks.npz"]["visible"])
    np.testing.assert_array_equal(floats("/api/points").reshape(frames, 70, 3), sample["landmarks.npz"]["points"])
    body = ask(url, "/api/mesh", key=row["key"], start=2)[1]
    count, vertices, faces = struct.unpack_from("<3I", body)
    wanted, wanted_faces = mesh_probe(sample["spec.json"], sample["motion.npz"])
    assert (count, vertices, faces) == (frames - 2, wanted.shape[1], len(wanted_faces))
    np.testing.assert_array_equal(np.frombuffer(body, "<u4", faces * 3, 12).reshape(-1, 3), wanted_faces)
    found = np.frombuffer(body, "<f4", offset=12 + faces * 12).reshape(count, vertices, 3)
    np.testing.assert_allclose(found, wanted[2:], atol=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"view": 2, "layer": "rgb", "start": 0},
        {"view": 0, "layer": "../spec.json", "start": 0},
        {"view": 0, "layer": "nothing", "start": 0},
        {"view": 0, "layer": "rgb", "start": 5},
        {"view": 0, "layer": "rgb", "start": -1},
        {"view": "0x0", "layer": "rgb", "start": 0},
        {"view": 0, "layer": "rgb"},
    ],
)
def test_frames_that_are_not_there_are_refused(url: str, parameters: dict[str, Any]) -> None:
    assert refused(url, "/api/frames", key="tiny-000000000", **parameters)


def test_damaged_members_are_named(copy: Path) -> None:
    row = first_rows(copy)[0]
    shard = copy / "shards" / "tiny-000000.tar"
    content = bytearray(shard.read_bytes())
    for member in row["members"]:
        if member["name"] in ("v00.rgb.mp4", "landmarks.npz", "spec.json"):
            content[member["offset"] : member["offset"] + member["size"]] = b"\xff" * member["size"]
    shard.write_bytes(content)
    with Server(str(copy), mesh=mesh_probe) as server:
        key = row["key"]
        frames = {"view": 0, "start": 0, "key": key}
        assert "v00.rgb.mp4" in refused(server.url, "/api/frames", layer="rgb", **frames)
        assert "v00.rgb.mp4" in refused(server.url, "/api/thumbnail", key=key)
        assert "landmarks.npz" in refused(server.url, "/api/landmarks", key=key)
        assert "spec.json" in refused(server.url, "/api/mesh", key=key, start=0)
        assert "damaged" in told(server.url, "/api/clip", key=key)["spec"]
        assert ask(server.url, "/api/frames", layer="depth", **frames)[0] == 200
        shard.unlink()
        assert "missing" in refused(server.url, "/api/cameras", key=key)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"frames": 2_000_000_000}, "frames"),
        ({"width": -1}, "width"),
        ({"views": None}, "views"),
        ({"fps": float("nan")}, "fps"),
        ({"fps": 0.0}, "fps"),
        ({"members": None}, "members"),
        ({"shard": None}, "shard"),
    ],
)
def test_rows_that_no_clip_has_are_named(copy: Path, change: dict[str, Any], word: str) -> None:
    rows = first_rows(copy)
    rows[0] |= change
    put_first_rows(copy, rows)
    with Server(str(copy)) as server:
        assert len(told(server.url, "/api/clips")["rows"]) == 4
        assert word in refused(server.url, "/api/clip", key=rows[0]["key"])


def test_members_of_declared_sizes_are_not_read(copy: Path) -> None:
    rows = first_rows(copy)
    for member in rows[0]["members"]:
        member["size"] = 1 << 40
    for member in rows[1]["members"]:
        member["offset"] = -5
    put_first_rows(copy, rows)
    with Server(str(copy)) as server:
        assert str(1 << 40) in refused(server.url, "/api/cameras", key=rows[0]["key"])
        assert "-5" in refused(server.url, "/api/cameras", key=rows[1]["key"])


def test_two_clips_of_one_key_are_named(copy: Path) -> None:
    rows = first_rows(copy)
    rows[1]["key"] = rows[0]["key"]
    put_first_rows(copy, rows)
    with Server(str(copy)) as server:
        assert "more than one" in refused(server.url, "/api/clip", key=rows[0]["key"])
        assert len(told(server.url, "/api/clips")["rows"]) == 4


def test_without_a_head_the_mesh_is_said_to_be_absent(copy: Path) -> None:
    with Server(str(copy)) as server:
        assert "mesh" in refused(server.url, "/api/mesh", key="tiny-000000000", start=0)
