"""Licensed files: what comes out equals what is in them, and what they lack is named."""

from __future__ import annotations

import dataclasses
import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from datagen.heads import HeadModel, head_info, load_head
from datagen.heads.importer import import_head
from datagen.heads.store import head_folder, read_arrays
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL
from manifests.errors import UserError

from .foreign_files import chumpy_pickle, flame_like, landmark_arrays, write_flame_landmarks
from .motions import landmarks, random_motion, still


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_chumpy_pickle_becomes_the_same_head(tmp_path: Path, protocol: int) -> None:
    arrays = flame_like()
    (tmp_path / "generic_model.pkl").write_bytes(chumpy_pickle(arrays, protocol))
    embedding = write_flame_landmarks(tmp_path, len(arrays["f"]))
    info = import_head(str(tmp_path / "generic_model.pkl"), "mine", landmarks=str(embedding), licence="mine")
    assert (info.kind, info.identity_size, info.expression_size) == ("flame", 300, 100)
    assert info == head_info("mine")
    assert info.licence == "mine"
    assert info.expression_names == ()
    stored = read_arrays(head_folder("mine"))
    for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        np.testing.assert_array_equal(stored[key], arrays[key].astype(np.float32))
    np.testing.assert_array_equal(stored["f"], arrays["f"])

    head = load_head("mine")
    neck = arrays["J_regressor"][1] @ arrays["v_template"]
    np.testing.assert_allclose(head.template, arrays["v_template"] - neck, atol=1e-7)
    shape = np.random.default_rng(0).normal(size=300)
    shaped = arrays["v_template"] + arrays["shapedirs"][..., :300] @ shape
    np.testing.assert_allclose(head.rest(shape), shaped - neck, atol=1e-6)
    expression = np.random.default_rng(1).normal(size=(1, 100)).astype(np.float32)
    expressed = arrays["v_template"] + arrays["shapedirs"][..., 300:] @ expression[0]
    np.testing.assert_allclose(head.pose(still(head, expression=expression))[0], expressed - neck, atol=1e-6)
    assert head.uv is None
    assert head.uv_faces is None
    assert np.isfinite(head.pose(random_motion(head, 3))).all()

    right, left = landmarks(head, head.template)[[RIGHT_PUPIL, LEFT_PUPIL]] + neck
    assert right[0] < -0.02
    assert left[0] > 0.02
    assert right[2] > 0.08
    inner, inner_weights = landmark_arrays(len(arrays["f"]), 51)
    np.testing.assert_array_equal(head.landmark_faces[17:68], inner)
    np.testing.assert_allclose(head.landmark_barycentric[17:68], inner_weights, atol=1e-6)
    np.testing.assert_array_equal(head.landmark_faces[:17], landmark_arrays(len(arrays["f"]), 17)[0])


def test_deca_embedding(tmp_path: Path) -> None:
    arrays = flame_like()
    np.savez(tmp_path / "model.npz", **arrays)
    faces, weights = landmark_arrays(len(arrays["f"]), 68)
    content = {"full_lmk_faces_idx": faces[None], "full_lmk_bary_coords": weights[None], "note": "unused"}
    np.save(tmp_path / "landmark_embedding.npy", np.array(content, dtype=object))
    import_head(str(tmp_path / "model.npz"), "mine", landmarks=str(tmp_path / "landmark_embedding.npy"))
    np.testing.assert_array_equal(load_head("mine").landmark_faces[:68], faces)


def flame_files(folder: Path, vt: object, ft: object) -> tuple[str, str, str]:
    """A model, its landmarks and its texture coordinates."""
    arrays = flame_like()
    np.savez(folder / "model.npz", **arrays)
    embedding = write_flame_landmarks(folder, len(arrays["f"]))
    members = {name: value for name, value in (("vt", vt), ("ft", ft)) if value is not None}
    np.savez(folder / "FLAME_texture.npz", mean=np.array({"not": "read"}, dtype=object), **members)  # type: ignore[arg-type]
    return str(folder / "model.npz"), str(embedding), str(folder / "FLAME_texture.npz")


def test_flames_texture_coordinates_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    faces = flame_like()["f"]
    vt = np.random.default_rng(2).random((3 * len(faces), 2))
    ft = np.arange(3 * len(faces)).reshape(-1, 3).astype(np.uint32)
    model, landmark_file, uv = flame_files(tmp_path, vt, ft)
    import_head(model, "mine", landmarks=landmark_file, uv=uv)
    head = load_head("mine")
    assert head.uv is not None
    assert head.uv_faces is not None
    np.testing.assert_array_equal(head.uv, vt.astype(np.float32))
    np.testing.assert_array_equal(head.uv_faces, ft)


@pytest.mark.parametrize(
    ("vt", "ft", "message"),
    [
        (None, None, r"FLAME_texture\.npz: no vt, ft"),
        (np.zeros((4, 3)), np.zeros((564, 3), int), r"vt has shape \(4, 3\)"),
        (np.zeros((4, 2)), np.zeros((5, 3), int), r"ft has shape \(5, 3\).*another mesh"),
        (np.zeros((4, 2)), "floats", "ft has shape.*whole numbers"),
        (np.zeros((4, 2)), "beyond", "indices outside 0 to 3"),
        (np.full((4, 2), np.nan), "zeros", "vt holds values that are not finite"),
    ],
)
def test_broken_texture_coordinates_are_named(tmp_path: Path, vt: object, ft: object, message: str) -> None:
    shape = flame_like()["f"].shape
    made = {"floats": np.zeros(shape), "beyond": np.full(shape, 4), "zeros": np.zeros(shape, int)}
    model, landmark_file, uv = flame_files(tmp_path, vt, made[ft] if isinstance(ft, str) else ft)
    with pytest.raises(UserError, match=message):
        import_head(model, "mine", landmarks=landmark_file, uv=uv)


def test_short_bases_keep_expression_apart_from_identity(tmp_path: Path) -> None:
    arrays = flame_like(columns=20)
    np.savez(tmp_path / "model.npz", **arrays)
    embedding = write_flame_landmarks(tmp_path, len(arrays["f"]))
    info = import_head(str(tmp_path / "model.npz"), "short", landmarks=str(embedding))
    assert (info.identity_size, info.expression_size) == (10, 10)
    head = load_head("short")
    expression = np.eye(10, dtype=np.float32)[3:4]
    moved = head.pose(still(head, expression=expression))[0] - head.template
    np.testing.assert_allclose(moved, arrays["shapedirs"][..., 13], atol=1e-7)


def test_a_smplx_file_goes_the_same_way(tmp_path: Path, body: HeadModel, cache: str) -> None:
    """The open body's own file, with the object arrays that licensed files carry, imports as a foreign
    one."""
    with np.load(Path(cache) / "heads" / "open-body" / "head.npz") as stored:
        extras = ("part", "uv", "uv_faces", "landmark_faces", "landmark_barycentric")
        arrays = {key: stored[key] for key in stored.files if key not in extras}
        arrays |= {"vt": stored["uv"], "ft": stored["uv_faces"]}
    names = np.array({"jaw": 22}, dtype=object)
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", joint2num=names, **arrays)
    info = import_head(str(tmp_path / "SMPLX_NEUTRAL.npz"), "mine")
    assert (info.kind, info.identity_size, info.expression_size) == ("smplx", 300, 100)
    head = load_head("mine")
    motion = random_motion(body, 2)
    np.testing.assert_array_equal(head.pose(motion), body.pose(motion))
    assert head.uv is not None
    assert body.uv is not None
    np.testing.assert_array_equal(head.uv, body.uv)
    np.testing.assert_array_equal((head.part == 1) | (head.part == 2), (body.part == 1) | (body.part == 2))
    np.testing.assert_allclose(landmarks(head, head.template), landmarks(body, body.template), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "no weights"),
        ({"f": "out of range"}, "indices outside 0 to"),
        ({"v_template": "nan"}, "not finite"),
        ({"posedirs": "short"}, "posedirs has shape"),
        ({"shapedirs": "150 columns"}, "150 columns.*400"),
        ({"J_regressor": "7 joints"}, "7 joints"),
        ({"kintree_table": "loop"}, "not a tree"),
        ({"weights": "no eyes"}, "eyeball"),
        ({"v_template": "flat"}, "v_template"),
    ],
)
def test_broken_models_are_named(tmp_path: Path, change: dict[str, str | None], message: str) -> None:
    arrays = flame_like()
    [(key, how)] = change.items()
    if how is None:
        del arrays[key]
    elif how == "out of range":
        arrays[key][0, 0] = len(arrays["v_template"])
    elif how == "nan":
        arrays[key][3, 1] = np.nan
    elif how == "short":
        arrays[key] = arrays[key][:-1]
    elif how == "150 columns":
        arrays[key] = arrays[key][..., :150]
    elif how == "7 joints":
        arrays[key] = np.concatenate([arrays[key], arrays[key][:2]])
    elif how == "loop":
        arrays[key] = np.array([[4294967295, 2, 1, 1, 1], range(5)])
    elif how == "no eyes":
        arrays[key] = np.tile([0, 1.0, 0, 0, 0], (len(arrays[key]), 1))
    elif how == "flat":
        arrays[key] = np.array(1.0)
    np.savez(tmp_path / "model.npz", **arrays)
    embedding = write_flame_landmarks(tmp_path, len(flame_like()["f"]))
    with pytest.raises(UserError, match=message) as caught:
        import_head(str(tmp_path / "model.npz"), "broken", landmarks=str(embedding))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "heads" / "broken").exists()


def test_missing_landmarks_and_files_are_named(tmp_path: Path) -> None:
    arrays = flame_like()
    np.savez(tmp_path / "model.npz", **arrays)
    model = str(tmp_path / "model.npz")
    with pytest.raises(UserError, match=r"flame_static_embedding.pkl"):
        import_head(model, "mine")
    embedding = write_flame_landmarks(tmp_path, len(arrays["f"]))
    (tmp_path / "flame_dynamic_embedding.npy").unlink()
    with pytest.raises(UserError, match=r"flame_dynamic_embedding.npy"):
        import_head(model, "mine", landmarks=str(embedding))
    embedding = write_flame_landmarks(tmp_path, 10 * len(arrays["f"]))
    with pytest.raises(UserError, match="another mesh"):
        import_head(model, "mine", landmarks=str(embedding))
    with pytest.raises(UserError, match="no such file"):
        import_head(str(tmp_path / "absent.pkl"), "mine")
    (tmp_path / "folder.pkl").mkdir()
    with pytest.raises(UserError, match="a folder"):
        import_head(str(tmp_path / "folder.pkl"), "mine")
    with pytest.raises(UserError, match=r"cannot be read \(Not a directory\)"):
        import_head(f"{model}/inside.npz", "mine")
    (tmp_path / "model.txt").write_text("x")
    with pytest.raises(UserError, match=r".pkl, .npz or .npy"):
        import_head(str(tmp_path / "model.txt"), "mine")
    for suffix in (".pkl", ".npz"):
        (tmp_path / f"noise{suffix}").write_bytes(b"\x00noise")
        with pytest.raises(UserError, match="not a readable"):
            import_head(str(tmp_path / f"noise{suffix}"), "mine")


@pytest.mark.parametrize("suffix", [".pkl", ".npz", ".npy"])
def test_a_file_that_may_not_be_read_is_named(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser may read anything, so the refusal is played."""

    def refuse(path: Path, *_: object) -> object:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    file = tmp_path / f"model{suffix}"
    file.write_bytes(b"x")
    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        import_head(str(file), "mine")


def test_a_damaged_deflate_stream_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.npz"
    np.savez_compressed(file, **flame_like())
    with zipfile.ZipFile(file) as archive:
        first = archive.infolist()[0]
    data = bytearray(file.read_bytes())
    start = first.header_offset + 30 + len(first.filename)
    data[start : start + first.compress_size] = b"\xff" * first.compress_size
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"not a readable \.npz file \(error:") as caught:
        import_head(str(file), "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../up", "a/b", "", "Capital", "a.b", "x" * 65, "open"])
def test_names_cannot_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        import_head(str(tmp_path / "any.npz"), name)
    assert not (tmp_path / "cache").exists()


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    arrays = flame_like()
    np.savez(tmp_path / "model.npz", **arrays)
    embedding = str(write_flame_landmarks(tmp_path, len(arrays["f"])))
    first = import_head(str(tmp_path / "model.npz"), "mine", landmarks=embedding)
    with pytest.raises(UserError, match=r"already.*--replace"):
        import_head(str(tmp_path / "model.npz"), "mine", landmarks=embedding)
    again = import_head(str(tmp_path / "model.npz"), "mine", landmarks=embedding, replace=True)
    assert again == first == dataclasses.replace(head_info("mine"))
