"""LPIPS is torchmetrics' own, given the same AlexNet; files that hold none are said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchmetrics.functional.image.lpips as theirs

from manifests.errors import UserError
from training.evaluation.lpips import load_lpips


def test_it_is_torchmetrics_own(alexnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load_lpips(alexnet)
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: ours.features)  # torchvision's AlexNet
    reference = theirs._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    draw = torch.Generator().manual_seed(2)
    pictures, others = (torch.rand(3, 3, 64, 48, generator=draw) * 2 - 1 for _ in range(2))
    with torch.no_grad():
        expected = reference(pictures, others).flatten()
    assert float(expected.min()) > 0
    torch.testing.assert_close(ours(pictures, others), expected, rtol=1e-4, atol=1e-6)


def test_equal_pictures_are_no_distance_apart_and_small_ones_are_enlarged(alexnet: Path) -> None:
    draw = torch.Generator().manual_seed(3)
    pictures, others = (torch.rand(2, 3, 16, 20, generator=draw) * 2 - 1 for _ in range(2))
    model = load_lpips(alexnet)
    assert model(pictures, pictures).tolist() == [0, 0]
    near = model(pictures, pictures + 0.05 * others)
    assert bool((near < model(pictures, others)).all())


def test_files_that_hold_none(tmp_path: Path) -> None:
    for name, content in (("bytes", b"no tensors"), ("other", {"features.0.weight": torch.zeros(1)}), ("list", [1])):
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(UserError, match=f"LPIPS .*{name}.pth: holds no"):
            load_lpips(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_lpips(tmp_path / "absent.pth")
