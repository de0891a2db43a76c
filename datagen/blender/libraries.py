"""Blender as a module, and what to install when the system lacks a library it links."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from manifests.errors import UserError

PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libxkbcommon.so.0": "libxkbcommon0",
}
"""Debian and Ubuntu package of each shared library that the bpy wheel does not bring along."""

_SHARED_OBJECT = re.compile(r"(lib[\w+-]+\.so[.\d]*)(?: => not found|: cannot open shared object file)")


def load_bpy(threads: int = 1) -> ModuleType:
    """The ``bpy`` module, with factory settings whatever the user's own are; ``threads`` is what it may use.

    Raises UserError when it is absent or a shared library is missing.
    """
    with _cores(threads):
        return _import_bpy()


def explain(error: ImportError, linked: str = "") -> str:
    """One line on why bpy did not import. ``linked`` is what ``ldd`` says, which names every gap at once."""
    names = sorted(set(_SHARED_OBJECT.findall(f"{error}\n{linked}")))
    if not names:
        return f"bpy cannot be imported ({error}): install it with `pip install bpy==4.5.*` on Python 3.11"
    packages = sorted({PACKAGES[name] for name in names if name in PACKAGES})
    unknown = [name for name in names if name not in PACKAGES]
    remedy = [f"`apt-get install {' '.join(packages)}`"] if packages else []
    remedy += [f"the package that holds {name}" for name in unknown]
    return f"bpy needs {', '.join(names)}, missing on this system: install {' and '.join(remedy)}"


def _linked() -> str:
    """``ldd`` on bpy's binary; empty where either is not to be had."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None or not Path(spec.origin).exists():
        return ""
    try:
        return subprocess.run(["ldd", spec.origin], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


@functools.cache
def _import_bpy() -> ModuleType:
    try:
        bpy = importlib.import_module("bpy")
    except ImportError as error:
        raise UserError(explain(error, _linked())) from error
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    """Let this process see only so many cores for a while.

    When Blender is imported it makes a TBB thread for every core it sees, whatever number of threads it is
    told to render with later, and those that are left over spin all the time another renders.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
