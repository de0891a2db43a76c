"""Files of a user's own: broken ones are refused when the configuration is loaded, in one line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from datagen.assets import HDRIS, IMAGES, AssetFolder, asset_file, list_folder
from manifests.errors import UserError

RUNS = bytes([2, 2, 0, 16]) + b"".join(bytes([128 + 16, 90]) for _ in range(4))
"""A row of 16 equal pixels in Radiance's run lengths."""
COMPRESSIONS = (OpenEXR.NO_COMPRESSION, OpenEXR.ZIPS_COMPRESSION, OpenEXR.ZIP_COMPRESSION, OpenEXR.PIZ_COMPRESSION)


def picture(kind: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def exr(folder: Path, compression: object) -> bytes:
    pixels = np.random.default_rng(0).random((40, 64, 3), np.float32)
    header = {"compression": compression, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": pixels}).write(str(folder / "made.exr"))
    return (folder / "made.exr").read_bytes()


def hdr() -> bytes:
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8 +X 16\n" + 8 * RUNS


def listed(folder: Path, name: str, data: bytes) -> AssetFolder:
    (folder / name).write_bytes(data)
    suffixes = HDRIS if name.endswith((".exr", ".hdr")) else IMAGES
    return AssetFolder(**list_folder(str(folder), folder, suffixes, "test"))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.hdr", "0.exr", "1.exr", "2.exr", "3.exr"])
def test_files_that_are_cut_short_are_refused(tmp_path: Path, name: str) -> None:
    made = {"a.jpg": lambda: picture("JPEG"), "a.png": lambda: picture("PNG"), "a.hdr": hdr}
    data = made[name]() if name in made else exr(tmp_path, COMPRESSIONS[int(name[0])])
    (tmp_path / "own").mkdir()
    folder = listed(tmp_path / "own", name, data)
    assert asset_file(folder, name) == tmp_path / "own" / name
    for kept in (len(data) - 8, len(data) // 2):
        with pytest.raises(UserError) as caught:
            listed(tmp_path / "own", name, data[:kept])
        assert f"{name} is no sound picture" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_damaged_pngs_are_refused(tmp_path: Path) -> None:
    data = bytearray(picture("PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(UserError, match="no sound picture"):
        listed(tmp_path, "a.png", bytes(data))


def test_huge_pictures_are_refused(tmp_path: Path) -> None:
    Image.new("L", (8192, 4104)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="8192 x 4104 pixels"):
        listed(tmp_path, "a.png", (tmp_path / "a.png").read_bytes())


def test_a_file_is_looked_at_again_each_time(tmp_path: Path) -> None:
    folder = listed(tmp_path, "a.png", picture("PNG"))
    asset_file(folder, "a.png")
    (tmp_path / "a.png").write_bytes(picture("JPEG"))
    with pytest.raises(UserError, match="has changed"):
        asset_file(folder, "a.png")
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="it is a link"):
        asset_file(folder, "a.png")
