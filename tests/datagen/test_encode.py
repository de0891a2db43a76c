"""Members there and back: stated errors, equal bytes, windows, and damaged or hostile members."""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from datagen.encode import ClipEncoder, pack_depth, pack_flow, pack_normals, pack_uv
from datagen.geometry.labels import Labeller, ViewLabels
from manifests.arrays import npz_bytes
from manifests.clip import Member
from manifests.conventions import VIEW_LABELS
from manifests.decode import MAX_BYTES, decode
from manifests.errors import UserError
from tests.datagen.geometry.scenes import Array, sphere_clip, worn

FRAMES, VIEWS, SIZE = 10, 2, 64
SEED = 5


def pictures() -> dict[tuple[int, int], SimpleNamespace]:
    """By (frame, view): a drifting pattern with noise, as hard as a picture gets, and a soft mask."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    out = {}
    for frame in range(FRAMES):
        for view in range(VIEWS):
            wave = np.sin(20 * x[..., None] * [1, 1.3, 0.7] + frame + view) * np.cos(9 * y[..., None])
            colour = np.clip(128 + 90 * wave + rng.normal(size=(SIZE, SIZE, 3)) * 6, 0, 255).astype(np.uint8)
            alpha = np.clip(400 * (0.5 - np.hypot(x - 0.5, y - 0.5)), 0, 255).astype(np.uint8)
            hair = np.where(y < 0.2, 0.8, 0.0)
            out[frame, view] = SimpleNamespace(
                frame=frame, view=view, colour=colour, alpha=alpha, coverage=worn(alpha.shape, hair=hair)
            )
    return out


def encode() -> list[Member]:
    encoder = ClipEncoder(*sphere_clip(FRAMES, VIEWS, SIZE, VIEW_LABELS))
    for picture in pictures().values():
        encoder.add(picture)
    return encoder.finish()


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    return {member.name: member.data for member in encode()}


@pytest.fixture(scope="module")
def truth() -> dict[tuple[int, int], ViewLabels]:
    labeller = Labeller(*sphere_clip(FRAMES, VIEWS, SIZE, VIEW_LABELS))
    return {at: labeller.label(*at, picture.alpha, picture.coverage) for at, picture in pictures().items()}


def stack(truth: dict[tuple[int, int], ViewLabels], label: str, view: int) -> Array:
    return np.stack([getattr(truth[frame, view], label) for frame in range(FRAMES)])


def test_a_sample_has_its_members(members: dict[str, bytes]) -> None:
    videos = ["rgb.mp4", *(f"{name}.mkv" for name in ("alpha", "pose_normals", *VIEW_LABELS))]
    expected = {"spec.json", "motion.npz", "cameras.npz", "landmarks.npz"}
    assert set(members) == expected | {f"v{view:02d}.{name}" for view in range(VIEWS) for name in videos}


def test_colour_holds_45_db_in_every_frame(members: dict[str, bytes]) -> None:
    for view in range(VIEWS):
        colour = np.stack([pictures()[frame, view].colour for frame in range(FRAMES)])
        decoded = decode(f"v{view:02d}.rgb.mp4", members[f"v{view:02d}.rgb.mp4"])
        assert decoded.dtype == np.uint8
        error = ((decoded.astype(float) - colour) ** 2).mean(axis=(1, 2, 3))
        assert (10 * np.log10(255**2 / error)).min() >= 45


def test_masks_are_lossless(members: dict[str, bytes], truth: dict[tuple[int, int], ViewLabels]) -> None:
    for view in range(VIEWS):
        alpha = np.stack([pictures()[frame, view].alpha for frame in range(FRAMES)])
        assert np.array_equal(decode(f"v{view:02d}.alpha.mkv", members[f"v{view:02d}.alpha.mkv"]), alpha)
        name = f"v{view:02d}.segmentation.mkv"
        assert np.array_equal(decode(name, members[name]), stack(truth, "segmentation", view))


@pytest.mark.parametrize("label", ["pose_normals", "normals"])
def test_normals_err_less_than_half_a_degree(
    label: str, members: dict[str, bytes], truth: dict[tuple[int, int], ViewLabels]
) -> None:
    expected, decoded = stack(truth, label, 0), decode(f"v00.{label}.mkv", members[f"v00.{label}.mkv"])
    surface = np.any(expected != 0, axis=-1)
    cosine = np.clip((expected * decoded).sum(-1)[surface], -1, 1)
    assert np.degrees(np.arccos(cosine)).max() <= 0.5
    assert not decoded[~surface].any()


@pytest.mark.parametrize(("label", "bound"), [("depth", 5.1e-5), ("uv", 1e-5), ("flow", 1 / 63)])
def test_measures_keep_their_bounds(
    label: str, bound: float, members: dict[str, bytes], truth: dict[tuple[int, int], ViewLabels]
) -> None:
    expected, decoded = stack(truth, label, 1), decode(f"v01.{label}.mkv", members[f"v01.{label}.mkv"])
    assert decoded.dtype == np.float32
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).max() <= bound
    assert np.array_equal(np.any(decoded != 0, axis=0), np.any(decoded != 0, axis=0) & np.any(expected != 0, axis=0))


def test_normals_in_all_directions_survive() -> None:
    normals = np.random.default_rng(1).normal(size=(300, 300, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    stored = pack_normals(normals).astype(np.float32) - 128
    cosine = (normals * stored).sum(-1) / np.linalg.norm(stored, axis=-1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.5


@pytest.mark.parametrize("label", ["rgb.mp4", "depth.mkv", "flow.mkv"])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 5), (7, 10), (9, 10), (8, None)])
def test_a_window_is_a_part_of_the_whole(label: str, start: int, stop: int | None, members: dict[str, bytes]) -> None:
    data = members[f"v00.{label}"]
    assert np.array_equal(decode(f"v00.{label}", data, start, stop), decode(f"v00.{label}", data)[start:stop])


def test_arrays_and_the_record_come_back(members: dict[str, bytes]) -> None:
    clip, posed = sphere_clip(FRAMES, VIEWS, SIZE, VIEW_LABELS)
    spec = decode("spec.json", members["spec.json"])
    assert spec["index"] == clip.spec.index
    assert set(spec["codecs"]) == {"rgb", "alpha", "pose_normals", *VIEW_LABELS}
    motion = decode("motion.npz", members["motion.npz"])
    assert np.array_equal(motion["neck"], clip.motion.neck)
    cameras = decode("cameras.npz", members["cameras.npz"])
    assert np.array_equal(cameras["K"], clip.cameras.intrinsics)
    assert np.array_equal(cameras["world_to_camera"], clip.cameras.world_to_camera)
    landmarks = decode("landmarks.npz", members["landmarks.npz"])
    assert np.array_equal(landmarks["points"], posed.landmarks.astype(np.float32))
    assert landmarks["pixels"].shape == (VIEWS, FRAMES, 70, 2)
    assert landmarks["visible"].dtype == bool
    plain = np.load(io.BytesIO(members["landmarks.npz"]), allow_pickle=False)
    assert np.array_equal(plain["pixels"], landmarks["pixels"])


def test_bytes_are_equal_in_other_processes() -> None:
    script = (
        "import hashlib, sys\n"
        "from tests.datagen.test_encode import encode\n"
        "for m in encode(): print(m.name, hashlib.sha256(m.data).hexdigest())\n"
    )
    here = [f"{m.name} {hashlib.sha256(m.data).hexdigest()}" for m in encode()]
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        assert run.stdout.splitlines() == here


def test_frames_must_come_in_order_and_all() -> None:
    encoder = ClipEncoder(*sphere_clip(2, 1, SIZE, ()))
    first = pictures()[0, 0]
    with pytest.raises(ValueError, match="frame 1 given, 0 is next"):
        encoder.add(SimpleNamespace(**{**vars(first), "frame": 1}))  # type: ignore[arg-type]
    encoder.add(first)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 of 2 frames"):
        encoder.finish()


def test_depth_beyond_its_range_is_refused() -> None:
    assert pack_depth(np.array([[6.5]])).dtype == np.uint16
    with pytest.raises(UserError, match=r"depth: 7\.00 m does not fit"):
        pack_depth(np.array([[7.0]]))


def test_flow_beyond_its_range_saturates() -> None:
    packed = pack_flow(np.array([[[5000.0, -5000.0]]]))
    assert packed.tolist() == [[65535], [0]]
    assert pack_uv(np.array([[[1.5, -0.5]]])).tolist() == [[65535], [0]]


@pytest.mark.parametrize("name", ["v00.rgb.mp4", "v00.depth.mkv", "motion.npz", "spec.json"])
def test_damaged_members_are_named(name: str, members: dict[str, bytes]) -> None:
    for broken in (b"", b"\0" * 100, members[name][: len(members[name]) // 3]):
        with pytest.raises(UserError, match=name):
            decode(name, broken, 0, FRAMES)


def test_asking_past_the_end_is_refused(members: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match=r"frames 4 to 12 asked for, it ends at 10"):
        decode("v00.alpha.mkv", members["v00.alpha.mkv"], 4, 12)
    with pytest.raises(UserError, match="give 0 <= start < stop"):
        decode("v00.alpha.mkv", members["v00.alpha.mkv"], 3, 3)


def test_unknown_members_are_refused(members: dict[str, bytes]) -> None:
    for name in ("v00.rgb.pyd", "v00.smell.mkv", "evil.pickle"):
        with pytest.raises(UserError, match="not a member that this version knows"):
            decode(name, members["v00.rgb.mp4"])


def test_large_members_are_refused_before_memory_is_taken(members: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match="over the limit of 1000"):
        decode("v00.depth.mkv", members["v00.depth.mkv"], max_bytes=1000)
    with pytest.raises(UserError, match="over the limit"):
        decode("v00.rgb.mp4", members["v00.rgb.mp4"], max_bytes=SIZE * SIZE * 3 * 4)
    with pytest.raises(UserError, match="over the limit of 1000"):
        decode("landmarks.npz", members["landmarks.npz"], max_bytes=1000)


def _npz(header: dict[str, object], body: bytes) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, header)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", content.getvalue() + body)
    return out.getvalue()


def test_arrays_that_lie_about_their_size_or_hold_objects_are_refused() -> None:
    huge = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    with pytest.raises(UserError, match="does not hold the array"):
        decode("motion.npz", _npz(huge, b"\0" * 64))
    objects = io.BytesIO()
    np.savez(objects, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(UserError, match=r"motion\.npz"):
        decode("motion.npz", objects.getvalue())


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f8', 'shape': (", "{'descr': '<f8'\n  'shape'\n 'x'}", "{[]: 1}", "-" * 9000 + "1"],
    ids=["unfinished", "indented", "unhashable", "nested"],
)
def test_headers_that_are_no_python_are_named(header: str) -> None:
    """numpy parses them as Python, and lets its tokenizer's errors out."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(UserError, match=r"motion\.npz: cannot be decoded") as caught:
        decode("motion.npz", out.getvalue())
    assert "\n" not in str(caught.value)


def test_a_damaged_deflate_stream_is_named() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(5000))
        entry = archive.infolist()[0]
    data = bytearray(out.getvalue())
    start = entry.header_offset + 30 + len(entry.filename)
    data[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    with pytest.raises(UserError, match=r"motion\.npz: cannot be decoded \(error: .*decompressing"):
        decode("motion.npz", bytes(data))


def test_a_bomb_is_refused_by_its_declared_size() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * 10_000_000)
    assert len(out.getvalue()) < 20_000
    with pytest.raises(UserError, match="over the limit of 1000000"):
        decode("motion.npz", out.getvalue(), max_bytes=1_000_000)
    assert MAX_BYTES > 10_000_000


def test_npz_keeps_no_dates() -> None:
    data = npz_bytes({"a": np.arange(3), "b": np.ones((2, 2), np.float32)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert data == npz_bytes({"a": np.arange(3), "b": np.ones((2, 2), np.float32)})


def test_the_record_is_canonical(members: dict[str, bytes]) -> None:
    value = json.loads(members["spec.json"])
    again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert again == members["spec.json"]
