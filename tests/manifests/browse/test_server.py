"""The page's server over HTTP: what it answers, and what it refuses."""

from __future__ import annotations

import dataclasses
import http.client
import io
import itertools
import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image

from datagen.probe import mesh_probe
from manifests.browse import Server
from manifests.browse.filters import COLUMNS, MAX_CONDITIONS, OPERATORS
from manifests.browse.listing import PAGE_ROWS
from manifests.corpus import read_corpus, write_corpus
from manifests.errors import UserError
from manifests.layout import part_path
from manifests.manifest import read_manifest
from manifests.reader import write_view
from manifests.storage import Storage
from manifests.table import quarantined_row, write_rows
from tests.conftest import Generated
from tests.manifests.browse.rows import first_rows, put_first_rows

Answer = tuple[int, bytes]


@pytest.fixture(scope="module")
def url(corpus: Generated) -> Iterator[str]:
    with Server(str(corpus.out), mesh=mesh_probe) as server:
        yield server.url


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Path:
    shutil.copytree(corpus.out, tmp_path / "out")
    return tmp_path / "out"


def ask(
    url: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **parameters: Any
) -> Answer:
    """The path goes out as it is, which urllib would tidy."""
    target = f"{path}?{urlencode(parameters)}" if parameters else path
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.putrequest(method, target, skip_host=headers is not None and "Host" in headers)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def told(url: str, path: str, **parameters: Any) -> Any:
    status, body = ask(url, path, **parameters)
    assert status == 200, body
    return json.loads(body)


def refused(url: str, path: str, status: int = 400, **parameters: Any) -> str:
    found, body = ask(url, path, **parameters)
    assert found == status, body
    return str(json.loads(body)["error"])


def keys(url: str, *conditions: tuple[str, str, str], **parameters: Any) -> list[str]:
    page = told(url, "/api/clips", where=json.dumps(conditions), **parameters)
    assert page["total"] >= len(page["rows"])
    return [row["key"] for row in page["rows"]]


def test_the_page_and_its_files_are_there_under_a_strict_policy(url: str) -> None:
    status, body = ask(url, "/")
    assert status == 200
    assert b"/app.js" in body
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/app.js")
    response = connection.getresponse()
    assert "javascript" in response.headers["Content-Type"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    connection.close()


def test_all_columns_can_be_filtered_by(url: str, corpus: Generated) -> None:
    columns = told(url, "/api/corpus")["columns"]
    assert {column["name"] for column in columns} == set(corpus.rows()[0])
    for operator in (0, -1):  # one that takes a value, and "is there"
        conditions = [(column["name"], column["operators"][operator], "1") for column in columns]
        for start in range(0, len(conditions), MAX_CONDITIONS):
            assert len(keys(url, *conditions[start : start + MAX_CONDITIONS])) <= 4


def test_filters_give_the_rows_for_which_they_hold(url: str, corpus: Generated) -> None:
    rows = corpus.rows()
    middle = sorted(row["melanin"] for row in rows)[1]
    for condition, holds in [
        (("recipe", "is", "phone"), lambda row: row["recipe"] == "phone"),
        (("recipe", "is not", "phone"), lambda row: row["recipe"] != "phone"),
        (("recipe", "contains", "sweep"), lambda row: "sweep" in row["recipe"]),
        (("recipe", "starts with", "s"), lambda row: row["recipe"][0] == "s"),
        (("melanin", ">", repr(middle)), lambda row: row["melanin"] > middle),
        (("melanin", "≤", repr(middle)), lambda row: row["melanin"] <= middle),
        (("index", "=", "2"), lambda row: row["index"] == 2),
        (("labels", "has", "flow"), lambda row: "flow" in row["labels"]),
        (("labels", "has not", "flow"), lambda row: "flow" not in row["labels"]),
        (("members", "has", "v01.rgb.mp4"), lambda row: True),
        (("members", "has not", "v01.rgb.mp4"), lambda row: False),
        (("error", "is missing", ""), lambda row: row["error"] is None),
    ]:
        assert keys(url, condition) == [row["key"] for row in rows if holds(row)], condition
    both = ("recipe", "contains", "sweep"), ("melanin", "≤", repr(middle))
    assert keys(url, *both) == [r["key"] for r in rows if "sweep" in r["recipe"] and r["melanin"] <= middle]


def test_rows_are_sorted_when_asked(url: str, corpus: Generated) -> None:
    wanted = [row["key"] for row in sorted(corpus.rows(), key=lambda row: -row["melanin"])]
    assert keys(url, sort="melanin", descending=1) == wanted
    assert keys(url) == [row["key"] for row in corpus.rows()]


@pytest.mark.parametrize(
    "value", ["phone' OR '1'='1", "'; DROP VIEW clips; --", "phone\\' OR 1=1 --", '" OR ""="', "phone') OR (1=1"]
)
def test_values_stay_values(url: str, value: str) -> None:
    assert keys(url, ("recipe", "is", value)) == []
    assert len(keys(url)) == 4


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ('[["1=1 OR recipe","is","x"]]', "column"),
        ('[["recipe\\"","is","x"]]', "column"),
        ('[["recipe","OR 1=1 OR","x"]]', "operator"),
        ('[["melanin","is","0.5"]]', "operator"),
        ('[["melanin",">","1; DROP"]]', "not a number"),
        ('[["melanin",">","nan"]]', "not a number"),
        ('[["recipe","is","' + "x" * 300 + '"]]', "too long"),
        ('[["recipe","is"]]', "where"),
        ('{"recipe": 1}', "where"),
        ('[["recipe","is",1]]', "where"),
        ("[" * 5000, "where"),
        (json.dumps([["recipe", "is", "x"]] * 100), "where"),
    ],
)
def test_what_is_no_filter_is_refused(url: str, where: str, word: str) -> None:
    assert word in refused(url, "/api/clips", where=where)


@pytest.mark.parametrize(
    "parameters", [{"sort": "melanin; DROP"}, {"sort": "members"}, {"page": "-1"}, {"page": "x"}, {"page": "9" * 30}]
)
def test_wrong_sorting_and_pages_are_refused(url: str, parameters: dict[str, str]) -> None:
    assert parameters[next(iter(parameters))][:5] in refused(url, "/api/clips", **parameters)


def test_operators_are_known_for_every_kind_of_column() -> None:
    assert set(COLUMNS.values()) == set(OPERATORS)


def test_values_are_counted(url: str) -> None:
    found = told(url, "/api/values", column="recipe")
    assert {(item["value"], item["count"]) for item in found} == {
        (recipe, 1) for recipe in ("phone", "studio", "view_sweep", "dynamic_sweep")
    }
    assert "text column" in refused(url, "/api/values", column="melanin")


def test_a_large_manifest_comes_in_pages(corpus: Generated, tmp_path: Path) -> None:
    """Given-up clips stand in for the others: three pages of them, behind the last of which there is none."""
    clips = 2 * PAGE_ROWS + 7
    known = dataclasses.replace(read_corpus(Storage(str(corpus.out))), clips=clips, clips_per_shard=clips)
    storage = Storage(str(tmp_path / "many"))
    write_corpus(storage, known)
    rows = [quarantined_row(known.layout, clip, f"reason {clip}", "0" * 64) for clip in range(clips)]
    storage.write(part_path(0), write_rows(rows))
    with Server(storage.url) as server:
        found = [told(server.url, "/api/clips", page=page) for page in range(4)]
        assert [len(page["rows"]) for page in found] == [PAGE_ROWS, PAGE_ROWS, 7, 7]
        assert [page["number"] for page in found] == [0, 1, 2, 2]
        assert {(page["total"], page["pages"]) for page in found} == {(clips, 3)}
        assert [row["index"] for page in found[:3] for row in page["rows"]] == list(range(clips))
        assert "reason 5" in refused(server.url, "/api/clip", key=known.layout.key(5))


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
    "path",
    [
        "/corpus.json",
        "/../corpus.json",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2fserver.py",
        "/page/../server.py",
        "//etc/passwd",
        "/index.html/../../server.py",
        "/api/../../server.py",
        "/app.js/",
        "/app.js%00.html",
        "file:///etc/passwd",
        "/api/nothing",
        "/__init__.py",
    ],
)
def test_no_path_reaches_a_file(url: str, path: str) -> None:
    status, body = ask(url, path)
    assert status == 404
    assert "no such page" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "tiny-000000009", "", "' OR 1=1 --", "tiny-00000000"]
)
def test_keys_are_looked_up_and_nothing_else(url: str, key: str) -> None:
    for path in ("/api/clip", "/api/thumbnail", "/api/cameras", "/api/points"):
        assert "not in the manifest" in refused(url, path, 404, key=key)
    assert refused(url, "/api/clip", 404, key="tiny-000000000", source=1)


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


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_is_answered(url: str, method: str) -> None:
    status, body = ask(url, "/api/corpus", method)
    assert status == 405
    assert "GET" in json.loads(body)["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost", "127.0.0.1:1", ""])
def test_other_names_for_this_machine_are_refused(url: str, host: str) -> None:
    for path in ("/", "/api/corpus"):
        assert ask(url, path, headers={"Host": host})[0] == 403


def test_pages_of_other_sites_are_refused(url: str) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert ask(url, "/api/corpus", headers={"Sec-Fetch-Site": site})[0] == status
    port = urlsplit(url).port
    assert ask(url, "/api/corpus", headers={"Host": f"localhost:{port}"})[0] == 200


def test_it_listens_on_this_machine_alone(url: str) -> None:
    assert urlsplit(url).hostname == "127.0.0.1"


def test_damaged_members_are_named(copy: Path) -> None:
    row = read_manifest(str(copy)).to_pylist()[0]
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


def test_a_view_over_corpora_shows_all_of_them(corpus: Generated, copy: Path, tmp_path: Path) -> None:
    write_view(Storage(str(tmp_path / "view")), [str(corpus.out), str(copy)])
    with Server(str(tmp_path / "view")) as server:
        page = told(server.url, "/api/clips")
        assert [row["source"] for row in page["rows"]] == [0] * 4 + [1] * 4
        assert keys(server.url, ("source", "=", "1")) == [row["key"] for row in corpus.rows()]
        assert told(server.url, "/api/clip", source=1, key="tiny-000000003")["row"]["source"] == 1


def test_without_a_head_the_mesh_is_said_to_be_absent(copy: Path) -> None:
    with Server(str(copy)) as server:
        assert "mesh" in refused(server.url, "/api/mesh", key="tiny-000000000", start=0)


def test_a_place_without_a_corpus_and_a_taken_port_are_said(copy: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="no corpus"):
        Server(str(tmp_path))
    taken = urlsplit(url).port
    assert taken is not None
    with pytest.raises(UserError, match=f"port {taken}"):
        Server(str(copy), port=taken)
    with pytest.raises(UserError, match="port 99999"):
        Server(str(copy), port=99999)
