"""What a user is told when Blender, its libraries or the device are not there."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from datagen.blender.device import apply_settings, enable_device
from datagen.blender.libraries import explain
from manifests.clip import RenderSettings
from manifests.errors import UserError


class CyclesPreferences:
    """A machine's devices as Cycles lists them."""

    def __init__(self, *kinds: str) -> None:
        self.compute_device_type = "NONE"
        self.devices = [SimpleNamespace(type=kind, use=kind != "CPU") for kind in ("CPU", *kinds)]

    def get_devices_for_type(self, kind: str) -> list[Any]:
        if kind == "METAL":
            raise ValueError("unknown device type")  # as a build without Metal does
        return [device for device in self.devices if device.type in (kind, "CPU")]


@pytest.mark.parametrize("device", ["cuda", "optix", "hip", "metal"])
def test_absent_gpu_is_an_error_that_names_it(device: str) -> None:
    with pytest.raises(UserError, match=f"render.device: '{device}'.*set render.device to cpu"):
        enable_device(CyclesPreferences(), device)


def test_only_the_devices_asked_for_are_enabled() -> None:
    preferences = CyclesPreferences("CUDA", "OPTIX")
    enable_device(preferences, "optix")
    assert [device.type for device in preferences.devices if device.use] == ["OPTIX"]
    enable_device(preferences, "cpu")
    assert not any(device.use for device in preferences.devices)


@pytest.mark.parametrize(("field", "value"), [("engine", "luxcore"), ("device", "tpu"), ("denoiser", "magic")])
def test_unknown_settings_name_the_field(field: str, value: str) -> None:
    settings = dataclasses.replace(RenderSettings(), **{field: value})
    with pytest.raises(UserError, match=f"render.{field}: '{value}' is unknown; use one of"):
        apply_settings(None, None, settings, 1)


def test_every_missing_library_is_mapped_to_its_package() -> None:
    error = ImportError("libSM.so.6: cannot open shared object file: No such file or directory")
    linked = "\tlibSM.so.6 => not found\n\tlibxkbcommon.so.0 => not found\n\tlibm.so.6 => /lib/libm.so.6 (0x1)"
    line = explain(error, linked)
    assert "libSM.so.6, libxkbcommon.so.0" in line
    assert "`apt-get install libsm6 libxkbcommon0`" in line
    assert "libm.so" not in line
    assert "\n" not in line


def test_an_unknown_library_is_named_all_the_same() -> None:
    error = ImportError("libodd.so.3: cannot open shared object file: No such file or directory")
    assert "the package that holds libodd.so.3" in explain(error)


def test_bpy_not_installed_says_how_to_install_it() -> None:
    assert "pip install bpy" in explain(ModuleNotFoundError("No module named 'bpy'"))
