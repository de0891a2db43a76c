"""Reads the arrays in a foreign pickle without running anything that is in it.

Every name a pickle may mention maps to an inert class of ours that only keeps what it is given; no numpy,
scipy, chumpy or torch code runs while the pickle is read. Arrays are made afterwards from the kept bytes,
with their sizes checked. Any other name is refused. The opcodes are scanned first, so that declared sizes
and memo slots that the data cannot fill never reach the unpickler.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError

Array = NDArray[Any]

MAX_BYTES = 1 << 30
_MAX_OPCODES = 5_000_000
_MAX_DEPTH = 8
_MAX_LIST = 1_000_000
"""Numbers in a plain list: a pickle can make short lists that unfold without end by naming them again."""
_REFUSED_OPCODES = {
    *("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"),
    *("EMPTY_SET", "ADDITEMS", "FROZENSET"),
}
_DTYPE = re.compile(r"[<>|=]?([fiub])([1248])")


def load_pickle(data: bytes, origin: str) -> Any:
    """The plain containers, numbers and strings of a pickle, with arrays left as records for ``array_of``.

    Python 2 strings come back as latin-1 text. Raises UserError for anything but a pickle of arrays.
    """
    if len(data) > MAX_BYTES:
        raise UserError(f"{origin}: {len(data)} bytes; head files have at most {MAX_BYTES}")
    try:
        _scan(data, origin)
        return _Unpickler(io.BytesIO(data), origin).load()
    except UserError:
        raise
    except Exception as error:  # whatever hostile data makes the reader raise is the file's fault
        raise UserError(f"{origin}: not a readable pickle ({reason(error)})") from error


def array_of(value: Any, origin: str, depth: int = 0) -> Array:
    """Turn a record into a numeric array; sparse matrices become dense. Raises UserError where that fails."""
    if depth > _MAX_DEPTH:
        raise UserError(f"{origin}: arrays are nested deeper than {_MAX_DEPTH}")
    try:
        if isinstance(value, _ArrayRecord):
            return value.numeric()
        if isinstance(value, _Sparse):
            return _dense(value, origin, depth)
        if isinstance(value, _Ch):
            return array_of(value.state["x"], origin, depth + 1)
        if isinstance(value, _Select):
            source = array_of(value.state["a"], origin, depth + 1).ravel()
            index = array_of(value.state["idxs"], origin, depth + 1)
            shape = tuple(int(n) for n in value.state.get("preferred_shape", index.shape))
            return source[index.ravel()].reshape(shape)
        if isinstance(value, (int, float, list, tuple)) and _entries(value, _MAX_LIST) <= _MAX_LIST:
            value = np.array(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            return value
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{origin}: broken array ({reason(error)})") from error
    raise UserError(f"{origin}: a {type(value).__name__.strip('_')} is not an array")


def load_npy(data: bytes, origin: str) -> Any:
    """A ``.npy`` file: a numeric array, or what its pickle holds, read by ``load_pickle``.

    Raises UserError for anything else.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version](stream)
        if not dtype.hasobject:
            if math.prod(shape) * dtype.itemsize > len(data):
                raise ValueError(f"{shape} {dtype} in {len(data)} bytes")
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python: it may raise nearly anything
        raise UserError(f"{origin}: not a readable .npy file ({reason(error)})") from error
    record = load_pickle(data[stream.tell() :], origin)
    items = record.objects() if isinstance(record, _ArrayRecord) else None
    if items is None or len(items) != 1:
        raise UserError(f"{origin}: an object array of one entry expected")
    return items[0]


def reason(error: Exception) -> str:
    """What was raised, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class _Record:
    """Keeps the arguments and the state that a pickle gives; does nothing with them."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any) -> Any:
        record = object.__new__(cls)
        object.__setattr__(record, "args", args)
        return record

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        object.__setattr__(self, "state", state)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a record is set by its state only")


class _Marker(_Record):
    """``object`` and ``ndarray``: named as arguments, never used."""


class _Dtype(_Record):
    def numeric(self) -> np.dtype[Any]:
        name = self.args[0]
        match = _DTYPE.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise ValueError("an element type that is not numeric")
        order = str(self.state[1]) if self.state else "<"
        return np.dtype((order if order in "<>" else "<") + "".join(match.groups()))


class _ArrayRecord(_Record):
    """``numpy``'s ``_reconstruct(ndarray, (0,), b'b')`` with state (version, shape, dtype, fortran, data)."""

    def numeric(self) -> Array:
        _, shape, dtype, fortran, data = self.state
        return _array_from_bytes(data, dtype, shape, "F" if fortran else "C")

    def objects(self) -> list[Any] | None:
        entries = self.state[4] if self.state else None
        return entries if isinstance(entries, list) else None


class _BufferRecord(_ArrayRecord):
    """``numpy``'s ``_frombuffer(data, dtype, shape, order)`` of pickle protocol 5."""

    def numeric(self) -> Array:
        data, dtype, shape, order = self.args
        return _array_from_bytes(data, dtype, shape, order)


class _Scalar(_ArrayRecord):
    def numeric(self) -> Array:
        dtype, data = self.args
        return _array_from_bytes(data, dtype, (), "C")


class _Sparse(_Record):
    columns = True


class _SparseRows(_Sparse):
    columns = False


class _Ch(_Record):
    """``chumpy.ch.Ch``: an array ``x``."""


class _Select(_Record):
    """``chumpy.reordering.Select``: entries ``idxs`` of ``a``."""


class _Ignored(_Record):
    """What may be mentioned beside the arrays we want, and is never looked at (DECA keeps torch tensors)."""


class _Reconstructor(_Record):
    """``copyreg._reconstructor(class, object, None)``: how old protocols name an instance."""

    def __new__(cls, target: Any, *_: Any) -> Any:
        if not (isinstance(target, type) and issubclass(target, _Record)):
            raise TypeError(f"cannot make a {type(target).__name__}")
        return target()


class _Encode(_Record):
    """``_codecs.encode(text, 'latin1')``: how Python 3 writes bytes in old protocols.

    Encoded only when an array asks for it: one text may be named any number of times.
    """

    def encoded(self) -> bytes:
        text, *encoding = self.args
        if not isinstance(text, str) or any(e not in ("latin1", "latin-1") for e in encoding if isinstance(e, str)):
            raise TypeError("only text in latin1 is encoded")
        return text.encode("latin1")


class _Dict(dict[Any, Any]):
    def __init__(self) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a dictionary has no state")


_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Dtype,
    ("__builtin__", "object"): _Marker,
    ("builtins", "object"): _Marker,
    ("collections", "OrderedDict"): _Dict,
    ("copy_reg", "_reconstructor"): _Reconstructor,
    ("copyreg", "_reconstructor"): _Reconstructor,
    ("_codecs", "encode"): _Encode,
    ("chumpy", "Ch"): _Ch,
    ("chumpy.ch", "Ch"): _Ch,
    ("chumpy.reordering", "Select"): _Select,
    ("torch._utils", "_rebuild_tensor_v2"): _Ignored,
    ("torch.storage", "_load_from_bytes"): _Ignored,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ArrayRecord for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _BufferRecord for core in ("core", "_core")},
    **{(f"scipy.sparse.{module}", "csc_matrix"): _Sparse for module in ("csc", "_csc")},
    **{(f"scipy.sparse.{module}", "csr_matrix"): _SparseRows for module in ("csr", "_csr")},
}


_PythonUnpickler: Any = pickle._Unpickler


class _Unpickler(_PythonUnpickler):
    """Python's own unpickler in Python, so that each key is seen before it is hashed: the hash of nested
    tuples takes time without bound."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems

    def __init__(self, stream: io.BytesIO, origin: str) -> None:
        super().__init__(stream, encoding="latin1")
        self._origin = origin

    def find_class(self, module: str, name: str) -> type:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise UserError(
                f"{self._origin}: refused, its pickle calls for '{module}.{name}'; "
                "only arrays are read: get the file from its official source"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UserError(f"{self._origin}: refused, its pickle refers to outside objects")


def _check_keys(keys: list[Any]) -> None:
    for key in keys:
        if not isinstance(key, (str, int)):
            raise TypeError(f"a dictionary key of type {type(key).__name__}")


def _scan(data: bytes, origin: str) -> None:
    """Walk the opcodes without running them; every length is checked against the data on the way."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count > _MAX_OPCODES:
            raise UserError(f"{origin}: refused, more than {_MAX_OPCODES} pickle opcodes")
        if opcode.name in _REFUSED_OPCODES:
            raise UserError(f"{origin}: refused, pickle opcode {opcode.name}")
        if "PUT" in opcode.name and int(argument or 0) > count:
            raise UserError(f"{origin}: refused, pickle memo slot {argument} after {count} opcodes")


def _entries(value: Any, limit: int) -> int:
    """Numbers in nested lists; stops counting past ``limit``."""
    count, rest = 0, [value]
    while rest and count + len(rest) <= limit:
        item = rest.pop()
        if isinstance(item, (list, tuple)):
            rest.extend(item)
        else:
            count += 1
    return count + len(rest)


def _array_from_bytes(data: Any, dtype: _Dtype, shape: Any, order: str) -> Array:
    raw = data.encode("latin1") if isinstance(data, str) else data
    raw = raw.encoded() if isinstance(raw, _Encode) else raw
    if not isinstance(raw, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise ValueError("an array without bytes or element type")
    element = dtype.numeric()
    size = tuple(int(n) for n in shape)
    if any(n < 0 for n in size) or math.prod(size) * element.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes do not make {size} of {element}")
    return np.frombuffer(raw, element).reshape(size, order="F" if order == "F" else "C")


def _dense(value: _Sparse, origin: str, depth: int) -> Array:
    state = value.state
    rows, columns = (int(n) for n in state.get("_shape", state.get("shape")))
    pointer, index, data = (array_of(state[key], origin, depth + 1) for key in ("indptr", "indices", "data"))
    major, minor = (columns, rows) if value.columns else (rows, columns)
    if rows < 0 or columns < 0 or rows * columns * 8 > MAX_BYTES:
        raise ValueError(f"sparse matrix of {rows} x {columns}")
    counts = np.diff(pointer)
    if len(pointer) != major + 1 or len(index) != len(data) or (counts < 0).any() or pointer[0] != 0:
        raise ValueError("sparse matrix of broken structure")
    if pointer[-1] != len(data) or (len(index) and not 0 <= index.min() <= index.max() < minor):
        raise ValueError("sparse matrix with entries out of range")
    dense = np.zeros((major, minor))
    np.add.at(dense, (np.repeat(np.arange(major), counts), index), data)
    return dense.T if value.columns else dense
