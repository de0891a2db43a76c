"""Hostile pickles: each is refused by name, and none of them runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen.heads.importer import import_head
from datagen.heads.unpickle import array_of, load_npy, load_pickle
from manifests.errors import UserError

from .foreign_files import fake_modules, flame_like, write_flame_landmarks


class Call:
    """Pickles as a call of ``function(*args)``."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self._parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> Any:
        return self._parts


def short(text: str) -> bytes:
    data = text.encode()
    return b"\x8c" + bytes([len(data)]) + data


def stack_global(module: str, name: str, argument: str) -> bytes:
    """Protocol 4: STACK_GLOBAL, one string argument, REDUCE."""
    return b"\x80\x04" + short(module) + short(name) + b"\x93" + short(argument) + b"\x85R."


def plain_global(module: str, name: str, argument: str) -> bytes:
    """Protocol 0: GLOBAL, REDUCE."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def instance(module: str, name: str, argument: str) -> bytes:
    """Protocol 0: INST."""
    return f"(V{argument}\ni{module}\n{name}\n.".encode()


def attacks(sentinel: Path) -> dict[str, bytes]:
    touch = f"touch {sentinel}"
    code = f"open({str(sentinel)!r}, 'w').close()"
    payload = sentinel.with_name(f"{sentinel.name}-payload.npy")

    class Ch:
        def __init__(self, x: Any) -> None:
            self.x = x

    with fake_modules(chumpy__ch__Ch=Ch):
        nested = pickle.dumps({"v_template": Ch(Call(os.system, touch))}, protocol=2)
    return {
        "reduce": pickle.dumps(Call(os.system, touch)),
        "reduce, protocol 0": pickle.dumps(Call(os.system, touch), protocol=0),
        "eval": pickle.dumps(Call(eval, code)),
        "exec": pickle.dumps(Call(exec, code)),
        "deep in a list": pickle.dumps({"a": [1, (2, Call(os.system, touch))]}),
        "chumpy state": nested,
        "numpy.load": pickle.dumps(Call(np.load, str(payload), None, True)),
        "numpy exec": plain_global("numpy.testing._private.utils", "runstring", code),
        "numpy f2py": stack_global("numpy.f2py.diagnose", "run_command", touch),
        "dotted name": stack_global("numpy", "ndarray.__class__.__base__.__subclasses__", ""),
        "dotted module": stack_global("numpy.core.multiarray", "_reconstruct.__globals__", ""),
        "dotted import": stack_global("numpy", "core.multiarray.os.system", touch),
        "getattr": stack_global("builtins", "getattr", "x"),
        "instance opcode": instance("os", "system", touch),
        "python 2 builtins": plain_global("__builtin__", "eval", code),
        "posix": plain_global("posix", "system", touch),
        "our own module": stack_global("datagen.heads.unpickle", "load_pickle", touch),
        "state on a name": b"cnumpy\ndtype\n}V__init__\ncos\nsystem\nsb.",
    }


ATTACKS = tuple(attacks(Path("never-touched")))


@pytest.mark.parametrize("attack", ATTACKS)
def test_calls_are_refused_and_do_not_run(attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path / "cache"))
    sentinel = tmp_path / "ran"
    data = attacks(sentinel)[attack]
    file = tmp_path / "model.pkl"
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"refused, its pickle calls for '.+'") as caught:
        import_head(str(file), "evil")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)

    record = io.BytesIO()
    np.lib.format.write_array_header_1_0(record, {"descr": "|O", "fortran_order": False, "shape": ()})
    with pytest.raises(UserError, match="refused"):
        load_npy(record.getvalue() + data, "embedding.npy")
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        archive.writestr("v_template.npy", record.getvalue() + data)
    with pytest.raises(UserError, match="refused"):
        import_head(str(tmp_path / "model.npz"), "evil")
    assert not sentinel.exists()
    assert not (tmp_path / "cache").exists()


def test_the_sentinel_would_tell(tmp_path: Path) -> None:
    """The attacks are real: Python's own reader runs them."""
    for name in ("reduce", "eval", "chumpy state", "numpy.load", "instance opcode"):
        sentinel = tmp_path / name.replace(" ", "-")
        data = attacks(sentinel)[name]
        payload = np.array([Call(os.system, f"touch {sentinel}")], dtype=object)
        np.save(sentinel.with_name(f"{sentinel.name}-payload.npy"), payload)

        class Ch:
            pass

        with fake_modules(chumpy__ch__Ch=Ch):
            pickle.loads(data)
        assert sentinel.exists(), name


def test_a_hostile_landmark_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path / "cache"))
    arrays = flame_like()
    np.savez(tmp_path / "model.npz", **arrays)
    embedding = write_flame_landmarks(tmp_path, len(arrays["f"]))
    sentinel = tmp_path / "ran"
    for file in (embedding, tmp_path / "flame_dynamic_embedding.npy"):
        good = file.read_bytes()
        if file.suffix == ".npy":
            np.save(file, np.array({"lmk_face_idx": Call(os.system, f"touch {sentinel}")}, dtype=object))
        else:
            file.write_bytes(pickle.dumps(Call(os.system, f"touch {sentinel}")))
        with pytest.raises(UserError, match=r"posix.system"):
            import_head(str(tmp_path / "model.npz"), "evil", landmarks=str(embedding))
        file.write_bytes(good)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", ["numpy\ndtype", "chumpy.ch\nCh", "collections\nOrderedDict"])
def test_a_pickle_cannot_set_attributes_of_what_it_names(name: str) -> None:
    """BUILD with (None, {attribute: value}) calls setattr where there is no __setstate__."""
    on_class = f"c{name}\n(N(dVargs\nV1\nstb.".encode()
    on_record = f"c{name}\n(tR(N(dVargs\nV1\nstb.".encode()
    with pytest.raises(UserError, match="not a readable pickle"):
        load_pickle(on_class, "x")
    if "Dict" in name:
        with pytest.raises(UserError, match="not a readable pickle"):
            load_pickle(on_record, "x")
    else:
        assert load_pickle(on_record, "x").args == ()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02r\xff\xff\xff\x7f.",  # LONG_BINPUT: a memo of two thousand million slots
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"x.",  # BINBYTES8 of a pebibyte
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",  # BYTEARRAY8
        b"\x80\x02P1\n.",  # persistent object
        b"\x80\x02\x82\x01.",  # extension registry
        b"\x80\x04]" + b"0" * 10,  # pops an empty stack
        b"",
    ],
    ids=["memo", "bytes", "bytearray", "persistent", "extension", "stack", "empty"],
)
def test_declared_sizes_and_outside_references_are_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        load_pickle(data, "bomb.pkl")


def test_arrays_larger_than_their_bytes_are_refused() -> None:
    honest = pickle.dumps(np.zeros((2, 3)), protocol=2)
    assert array_of(load_pickle(honest, "x"), "x").shape == (2, 3)
    swollen = honest.replace(b"K\x02K\x03", b"K\x02K\x04")
    assert swollen != honest
    with pytest.raises(UserError, match="48 bytes do not make"):
        array_of(load_pickle(swollen, "x"), "x")


def test_lists_that_unfold_without_end_are_refused() -> None:
    bomb: list[Any] = [0.0] * 10
    for _ in range(12):
        bomb = [bomb] * 10
    with pytest.raises(UserError, match="not an array"):
        array_of(load_pickle(pickle.dumps(bomb), "x"), "x")


def test_a_loop_of_selections_ends() -> None:
    class Select:
        pass

    with fake_modules(chumpy__reordering__Select=Select):
        loop = Select()
        loop.__dict__.update(a=loop, idxs=np.arange(3), preferred_shape=(3,))
        data = pickle.dumps(loop)
    with pytest.raises(UserError, match="nested deeper"):
        array_of(load_pickle(data, "x"), "x")


def test_broken_sparse_matrices_are_refused() -> None:
    from scipy.sparse import csc_matrix

    matrix = csc_matrix(np.eye(4))
    dense = array_of(load_pickle(pickle.dumps(matrix), "x"), "x")
    np.testing.assert_array_equal(dense, np.eye(4))
    matrix.indices[1] = 77
    with pytest.raises(UserError, match="out of range"):
        array_of(load_pickle(pickle.dumps(matrix), "x"), "x")


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|u1", "<i8", "|b1"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_numeric_arrays_come_through(dtype: str, protocol: int) -> None:
    array = (np.random.default_rng(0).uniform(0, 100, (3, 4)) > 50).astype(dtype) * np.dtype(dtype).type(1)
    for variant in (array, np.asfortranarray(array), array[:, ::2], array[0, 0]):
        read = array_of(load_pickle(pickle.dumps(variant, protocol=protocol), "x"), "x")
        np.testing.assert_array_equal(read, variant)


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f8', 'shape': (", "{'descr': '<f8'\n  'shape'\n 'x'}", "{[]: 1}", "-" * 9000 + "1", "{'a': 1, 2: 3}"],
    ids=["unfinished", "indented", "unhashable", "nested", "mixed keys"],
)
def test_broken_npy_headers_are_named(header: str) -> None:
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with pytest.raises(UserError, match=r"embedding\.npy: not a readable \.npy file") as caught:
        load_npy(data, "embedding.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02}(K\x01" + b"2\x86" * 64 + b"K\x01u.",
        b"\x80\x02}K\x01" + b"2\x86" * 64 + b"K\x01s.",
        b"(K\x01" + b"2\x86" * 64 + b"K\x01d.",
        b"\x80\x04\x8f(" + b")" + b"2\x86" * 50 + b"\x90.",
    ],
    ids=["setitems", "setitem", "dict", "set"],
)
def test_keys_whose_hash_never_ends_are_refused_before_they_are_hashed(data: bytes) -> None:
    with pytest.raises(UserError, match=r"key of type tuple|opcode EMPTY_SET"):
        load_pickle(data, "file")


def test_one_text_named_many_times_is_not_encoded_many_times() -> None:
    text = b"\x8c\xff" + b"a" * 255 + b"\x94"
    call = short("_codecs") + short("encode") + b"\x93h\x00\x85R"
    record = load_pickle(b"\x80\x04(" + text + call * 1000 + b"l.", "file")
    assert not any(isinstance(item, bytes) for item in record)
