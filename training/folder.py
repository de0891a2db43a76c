"""Small models as folders: a config.json that says what it is, and tensors beside it. Nothing is unpickled."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import safetensors
import torch
from safetensors.torch import load_file, save_file

from manifests.errors import UserError

CONFIG: Final = "config.json"
TENSORS: Final = "model.safetensors"


def write_folder(folder: str | Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a model folder beside its place and move it there; a folder that was there before is replaced.

    Raises UserError when the place is taken by something that is no model folder.
    """
    check_place(folder)
    with replacing_folder(folder) as beside:
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, beside / TENSORS)
        (beside / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def check_place(folder: str | Path, mark: str = CONFIG, what: str = "model folder") -> None:
    """Raises UserError when the place is taken by something that is no ``what``, which holds a file ``mark``; to be
    asked before hours are spent on what is to be written there."""
    folder = Path(folder)
    if folder.exists() and not (folder / mark).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and no {what}; name another place, or move it away")


@contextlib.contextmanager
def replacing_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder beside ``folder`` to write into, which takes its place when the block has ended well.

    Whatever fails, and wherever the process ends, the old folder or the new one is whole: in its place or, had it been
    between two renames, under a hidden name beside it.
    """
    folder = Path(folder).resolve()  # what a link points to is replaced, the link stays
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    old = new.with_name(f"{new.name}-old")
    try:
        yield new
        _settle(new)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        _sync(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)  # the new one is in place: nothing is wrong if some of this stays


@contextlib.contextmanager
def replacing_file(path: str | Path, what: str) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place when the block has ended well. Raises UserError,
    which calls it ``what``, where the folder cannot be written."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise UserError(f"{what} {path}: cannot be written ({error.strerror}); name another place") from None
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o644)
        _sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_config(folder: str | Path, name: str = CONFIG, what: str = "model") -> dict[str, Any]:
    """The config.json of a model folder, or a like file of ``what``. Raises UserError when there is none, or it holds
    no object."""
    file = Path(folder) / name
    try:
        config = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: no model folder, it holds no {name}; give the folder of a trained model") from None
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise UserError(f"{file}: cannot be read ({error}); take another copy of the {what}") from None
    if not isinstance(config, dict):
        raise UserError(f"{file}: holds no JSON object; take another copy of the {what}")
    return config


def check_config(
    folder: Path, config: Mapping[str, Any], version: int, sizes: Mapping[str, range] = MappingProxyType({})
) -> None:
    """Raises UserError for a folder of another version than the one that is read, and for a size that is none of those
    that it may be: they come before memory is taken for them."""
    if config.get("format") != version:
        raise UserError(
            f"{folder}: is of format {str(config.get('format'))[:20]}, this version reads {version}; train it again"
        )
    for name, known in sizes.items():
        if type(config.get(name)) is not int or config[name] not in known:
            raise UserError(
                f"{folder}: {name} is {str(config.get(name))[:40]}, not {known.start} to {known.stop - 1} in steps of "
                f"{known.step}; take another copy of the model"
            )


def plugged_in(folder: Path, config: Mapping[str, Any], own: Mapping[str, Any], group: str, what: str) -> Any:
    """What loads folders of the kind that ``config`` says: one of our ``own``, or one that an installed package names
    by that kind in the entry points of ``group``. Raises UserError where there is none."""
    kind, installed = config.get("kind"), {point.name: point for point in entry_points(group=group)}
    if isinstance(kind, str) and kind in own:
        return own[kind]
    if isinstance(kind, str) and kind in installed:
        return installed[kind].load()
    raise UserError(
        f"{folder}: its {CONFIG} is of kind {str(kind)[:60]!r}, no {what} (known: "
        f"{', '.join(sorted({*own, *installed}))}); give one made by `factorportrait train`, or install the package "
        "that its kind is from"
    )


def read_tensors(folder: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a model folder, on the CPU. Raises UserError when they are missing or damaged."""
    file = Path(folder) / TENSORS
    try:
        return dict(load_file(file))
    except FileNotFoundError:
        raise UserError(f"{file} is missing; take another copy of the model") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({error}); take another copy of the model") from None


def load_weights(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Fill ``module``. Raises UserError that names the first tensor that is missing, extra or of another shape."""
    own = module.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        here, there = own.get(name), tensors.get(name)
        if here is None or there is None or here.shape != there.shape:
            seen = "missing" if there is None else f"of shape {list(there.shape)}"
            wanted = "none of that name" if here is None else f"shape {list(here.shape)}"
            raise UserError(f"{where}: tensor {name!r} is {seen}, the model has {wanted}; its config.json is another's")
    module.load_state_dict(dict(tensors))


def digest(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over what a model computes with: its configuration and every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _settle(folder: Path) -> None:
    """Make all of it readable by others and safe from a power cut."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
