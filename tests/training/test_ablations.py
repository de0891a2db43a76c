"""Every ablation trains, differs from the full method where it says, and is a row of one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from tests.training.conftest import Parts
from tests.training.test_fit import CONFIG
from training.ablations import _FOLDER, ABLATIONS, FULL, Row, ablate, to_markdown
from training.portrait import RECORD, load_portrait


def test_each_has_a_configuration_that_is_shipped() -> None:
    assert {path.stem for path in _FOLDER.glob("*.yaml")} == set(ABLATIONS) - {FULL}


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ablation 'without-tea': is none; choose full, without-dynamic-sweep"):
        ablate("x.yaml", "corpus", "codec", "expression", tmp_path, only=["without-tea"])


def test_no_row_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"only: \[\] given"):
        ablate("x.yaml", "corpus", "codec", "expression", tmp_path, only=[])


def test_a_row_each() -> None:
    table = to_markdown(
        [Row(FULL, 1500, 48, {"psnr/foreground": 20.0}), Row("landmarks", 9, 2, {"drop/rays/foreground": 1.25})]
    )
    assert "| everything | 1,500 | 48 | 20.00 |" in table
    assert "| landmarks in place of the learnt expression code | 9 | 2 |  |  | 1.25 |" in table


@pytest.mark.parametrize("text", ['{"full": 5}', '{"full": {"steps": 1, "clips": 2}}', '{"full": {"steps": 1, "clips": '
                                  '2, "scalars": {"a": "b"}}}', '{"full": {"steps": 1, "clips": 2, "scalars": 5}}',
                                  "[]", "{"])  # fmt: skip
def test_a_damaged_table_is_said_before_anything_is_trained(tmp_path: Path, text: str) -> None:
    (tmp_path / "ablations.json").write_text(text)
    with pytest.raises(UserError, match=r"ablations\.json: (holds no rows of trainings|holds no JSON|cannot be read)"):
        ablate("x.yaml", "corpus", "codec", "expression", tmp_path)


def test_the_command_trains_what_is_missing(
    corpus: Generated, parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "small.yaml", tmp_path / "out"
    config.write_text(CONFIG.replace("      init_args: {every_n_train_steps: 2, save_top_k: -1, filename: \"{step}\", "
                                     "dirpath: CHECKPOINTS}", "      init_args: {every_n_train_steps: 9}"))  # fmt: skip
    words = [
        "train", "ablations", str(corpus.out), "--config", str(config), "--out", str(out), "--codec", parts.codec,
        "--expression", parts.expression, "--clips", "2", "--set", "trainer.max_steps=1", "data.batch_size=1",
    ]  # fmt: skip
    assert main(words) == 0
    assert capsys.readouterr().out.count("\n| ") >= 4
    found = json.loads((out / "ablations.json").read_text())
    assert list(found) == list(ABLATIONS)
    assert {(row["steps"], row["clips"]) for row in found.values()} == {(1, 2)}
    models = {name: load_portrait(out / name / "model") for name in found}
    assert models["full"].untold == ()
    assert models["without-normals"].untold == ("pose",)
    assert models["landmarks"].encode.expression.digest != models["full"].encode.expression.digest
    before = (out / "full" / "model" / RECORD).stat().st_mtime_ns
    assert main([*words, "data.workers=1", "data.latents=nowhere"]) == 0  # on which no result depends
    assert (out / "full" / "model" / RECORD).stat().st_mtime_ns == before
    for other, said in (
        ([*words[:-1], "data.batch_size=2"], "its trainings have overrides"),
        (
            [*words[:-1], "data.workers=7", "data.latents=elsewhere", "data.batch_size=2"],
            "its trainings have overrides",
        ),
        ([*words, "--config", str(tmp_path / "none.yaml")], "none.yaml: cannot be read"),
        ([*words, "--split", "train"], "its trainings have split test, train given; name another folder"),
    ):
        assert main(other) == 2
        assert said in capsys.readouterr().err
