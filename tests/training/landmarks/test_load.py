"""A detector from its folder: ours, or one that an installed package plugs in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from manifests.errors import UserError
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.load import ENTRY_POINTS, load_detector


class Middle(LandmarkDetector):
    """Every point in the middle of the picture."""

    licence = "CC0-1.0"

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        count, _, height, width = pictures.shape
        middle = torch.tensor([width / 2, height / 2]).expand(count, 70, 2)
        return Detection(middle, torch.ones(count, 70), torch.ones(count))


def test_an_installed_package_plugs_in_another_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class EntryPoint:
        name = "middle"

        def load(self) -> object:
            return lambda _folder, _config: Middle()

    (tmp_path / "config.json").write_text('{"kind": "middle"}')
    with pytest.raises(UserError, match=r"kind 'middle', no landmark detector \(known: landmarks, mediapipe\)"):
        load_detector(tmp_path)
    groups: list[str] = []
    monkeypatch.setattr("training.folder.entry_points", lambda group: groups.append(group) or [EntryPoint()])
    detector = load_detector(tmp_path)
    assert groups == [ENTRY_POINTS]
    assert detector.licence == "CC0-1.0"
    assert detector.detect(torch.zeros(2, 3, 8, 12)).points[1, 5].tolist() == [6, 4]
