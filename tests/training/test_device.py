"""A device that is not here is said in one line, before anything is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

import factorportrait
from manifests.errors import UserError
from training.device import check_device

ABSENT = "cuda:99"


@pytest.mark.parametrize(
    "words",
    [
        ["codec", "{tmp}/corpus", "--out", "{tmp}/out"],
        ["expression", "{tmp}/corpus", "--out", "{tmp}/out", "--report"],
        ["report", "{tmp}/corpus", "--out", "{tmp}/out", "--model", "{tmp}/model"],
    ],
)
def test_an_absent_device_is_said_first(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert factorportrait.main(["train", *given, "--device", ABSENT]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "device: cuda:99 is not here; choose cpu" in error
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_device_is_said() -> None:
    check_device("cpu")
    with pytest.raises(UserError, match=r"^codec\.device: 'gpu' is no device that is used here; choose cpu or cuda$"):
        check_device("gpu", "codec.device")
    for other in ("mps", "meta"):
        with pytest.raises(UserError, match="choose cpu or cuda"):
            check_device(other)
