"""Protocols ask for what they say; figures of the rendered truth are the best there are; what is missing is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.animation.shot import AnimationSettings, model_head
from training.data.clips import Clips
from training.evaluation.evaluate import GENERATED, REFERENCE, TRUTH, Evaluation, Measured, evaluate
from training.evaluation.instruments import Instruments, load_instruments
from training.evaluation.report import groups, summary, to_html, to_json, to_markdown
from training.evaluation.run import evaluate_to_folder
from training.evaluation.takes import Takes, TakeSettings, make_takes
from training.expression.network import FaceNetwork
from training.identity.cnn import CnnIdentity
from training.landmarks.load import load_detector
from training.portrait import Portrait, load_portrait

QUICK = AnimationSettings(steps=1)


@pytest.fixture(scope="module")
def portrait(animated: Path) -> Portrait:
    return load_portrait(animated)


def takes(portrait: Portrait, corpus: Generated, protocol: Any, **settings: Any) -> Takes:
    return make_takes(
        Clips(str(corpus.out), split=None), portrait, model_head(portrait), TakeSettings(protocol, **settings)
    )


def test_self_drives_itself(portrait: Portrait, corpus: Generated) -> None:
    clips = Clips(str(corpus.out), split=None)
    found = takes(portrait, corpus, "self")
    assert len(found) == len(clips)
    for take, i in zip(found, range(len(clips)), strict=True):
        assert take.truth is not None
        view = int(take.name.split(".v")[1][:2])
        (window,) = clips.windows(i, [(view, range(3))])
        torch.testing.assert_close(take.truth.video[:, 0], take.shot.face.picture)
        np.testing.assert_array_equal(take.shot.camera.world_to_camera, window.world_to_camera)
        motion = clips.motion(i)
        np.testing.assert_array_equal(take.shot.poses.neck, motion.neck[:3])
        np.testing.assert_array_equal(take.shot.face.shape, motion.shape)
        assert take.shot.codes().shape[0] == 3
        assert 0 <= take.yaw_deg <= 180


def test_novel_view_is_shown_another_view(portrait: Portrait, corpus: Generated) -> None:
    for take in takes(portrait, corpus, "novel-view"):
        assert take.truth is not None
        assert take.other_truth is not None
        assert not torch.equal(take.truth.video[:, 0], take.shot.face.picture)
        assert torch.equal(take.other_truth.video[:, 0], take.shot.face.picture)  # of two views the other one


def test_cross_is_driven_by_another_and_has_no_truth(portrait: Portrait, corpus: Generated) -> None:
    own = takes(portrait, corpus, "self")
    for take, same in zip(takes(portrait, corpus, "cross"), own, strict=True):
        assert take.truth is None
        assert torch.equal(take.shot.face.picture, same.shot.face.picture)
        assert not np.array_equal(take.driver.expression, same.driver.expression)
        np.testing.assert_array_equal(take.shot.face.shape, same.shot.face.shape)


def test_takes_follow_from_the_seed(portrait: Portrait, corpus: Generated) -> None:
    names = [[take.name for take in takes(portrait, corpus, "self", clips=2, seed=seed)] for seed in (1, 1, 2, 3, 4)]
    assert names[0] == names[1]
    assert len({tuple(each) for each in names}) > 1


def test_what_does_not_fit_is_said(portrait: Portrait, corpus: Generated) -> None:
    for settings, said in (
        ({"protocol": "self", "frames": 50}, "has fewer than 50 frames"),
        ({"protocol": "sideways"}, "protocol: 'sideways' is none; choose self, cross, novel-view"),
        ({"protocol": "cross", "clips": 1}, "it needs two or more"),
        ({"protocol": "self", "clips": 0}, "clips: 0 given"),
        ({"protocol": "self", "frames": 0}, "frames: 0 given"),
    ):
        with pytest.raises(UserError, match=said):
            takes(portrait, corpus, **settings)
    for change, said in (
        ({"fps": portrait.footage.fps * 3}, "every 1th frame makes|frame makes .* a second, the model learnt"),
        ({"head_sha256": "0" * 64}, "shows head 'open' .* take clips of that head"),
    ):
        other = dataclasses.replace(portrait, footage=dataclasses.replace(portrait.footage, **change))
        clips = Clips(str(corpus.out), split=None)
        with pytest.raises(UserError, match=said):
            make_takes(clips, other, model_head(portrait), TakeSettings("self"))


def test_truth_is_measured_as_the_best_there_is(portrait: Portrait, corpus: Generated, learnt: Path) -> None:
    kept: list[str] = []
    found = evaluate(
        portrait,
        str(corpus.out),
        TakeSettings("self", 2),
        instruments=Instruments(load_detector(learnt), CnnIdentity(FaceNetwork(8, 16, 4).eval(), 16, 4, 8)),
        animation=QUICK,
        keep=lambda take, video: kept.append(take.name),
    )
    assert kept == [take.name for take in found.takes]
    for take in found.takes:
        truth, made, still = (take.values[kind] for kind in (TRUTH, GENERATED, REFERENCE))
        assert truth["psnr"] == 100
        assert truth["ssim"] == pytest.approx(1, abs=1e-5)
        assert made["psnr"] < 30
        assert made["psnr"] < still["psnr"]  # it has learnt nothing
        assert truth["temporal"] > made["temporal"]
        assert 0.9 < truth["identity"] <= 1 + 1e-6
        assert -1 <= made["identity"] <= 1 + 1e-6
        assert set(truth) >= {"expression", "expression_landmarks", "head_pose_deg", "camera_deg", "identity"}
        assert truth["view_consistency"] > made["view_consistency"]
    assert set(found.not_measured) == {"LPIPS", "Fréchet distance"}


def test_one_view_says_nothing_of_two(
    portrait: Portrait, corpus: Generated, learnt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_view(corpus: str, **options: Any) -> Clips:
        clips = Clips(corpus, **options)
        clips._columns.views[:] = 1
        return clips

    monkeypatch.setattr("training.evaluation.evaluate.Clips", one_view)
    instruments = Instruments(load_detector(learnt))
    found = evaluate(portrait, str(corpus.out), TakeSettings("self", 1), instruments=instruments, animation=QUICK)
    assert "one view" in found.not_measured["view consistency"]
    for values in found.takes[0].values.values():
        assert not {"view_consistency", "camera_deg"} & set(values)


def test_without_a_detector_what_needs_one_is_said(portrait: Portrait, corpus: Generated) -> None:
    found = evaluate(portrait, str(corpus.out), TakeSettings("cross", 2), animation=QUICK)
    assert {"temporal", "view_consistency"} == set(found.takes[0].values[GENERATED])
    assert "needs a landmark detector" in found.not_measured["head pose error"]
    assert "nobody rendered" in found.not_measured["SSIM"]


def test_weights_that_are_given_measure(
    portrait: Portrait, corpus: Generated, alexnet: Path, dino: Path, tmp_path: Path
) -> None:
    instruments = load_instruments(lpips=alexnet, features=dino)
    found = evaluate(portrait, str(corpus.out), TakeSettings("self", 2), instruments=instruments, animation=QUICK)
    for take in found.takes:
        assert take.values[TRUTH]["lpips"] == 0
        assert 0 < take.values[REFERENCE]["lpips"] < take.values[GENERATED]["lpips"]
    assert found.frechet_samples == sum(len(take.shot.times) for take in takes(portrait, corpus, "self", clips=2))
    assert 0 < found.frechet[REFERENCE] < found.frechet[GENERATED]
    assert not {"LPIPS", "Fréchet distance"} & set(found.not_measured)
    text = to_markdown(found)
    assert f"| Fréchet distance (lower is better) | {found.frechet[GENERATED]:.2f} |" in text
    assert json.loads(to_json(found))["frechet samples"] == found.frechet_samples
    cross = evaluate(portrait, str(corpus.out), TakeSettings("cross", 2), instruments=instruments, animation=QUICK)
    assert cross.frechet == {}
    assert "nobody rendered" in cross.not_measured["Fréchet distance"]


def evaluation() -> Evaluation:
    def take(number: int, recipe: str, yaw: float) -> Measured:
        made = {"psnr": 20.0 + number, "temporal": float("nan")}
        return Measured(f"<{number}>", recipe, yaw, {GENERATED: made, TRUTH: {"psnr": 100.0}})

    takes = (take(0, "phone", 5), take(1, "studio", 30), take(2, "studio", 60))
    return Evaluation("self", "out/<faces>", "test", takes, {"fid": "needs weights"})


def test_figures_by_recipe_and_yaw() -> None:
    found = evaluation()
    assert summary(found.takes, GENERATED)["psnr"].mean == 21
    assert "temporal" not in summary(found.takes, GENERATED)
    assert {name: len(some) for name, some in groups(found)} == {
        "all": 3, "phone": 1, "studio": 2, "yaw 0 to 20 degrees": 1, "yaw 20 to 45 degrees": 1,
        "yaw 45 to 90 degrees": 1,
    }  # fmt: skip
    text = to_markdown(found)
    assert "| PSNR of the person (dB, higher is better) | 21.00 [" in text
    assert "| studio | 2 | 21.50 |" in text
    assert "Not measured: fid (needs weights)." in text
    content = json.loads(to_json(found))
    assert content["summary"]["studio"]["generated"]["psnr"]["mean"] == 21.5
    assert content["takes"][0]["values"]["generated"]["temporal"] is None


def test_the_page_shows_videos_and_trusts_no_name() -> None:
    page = to_html(evaluation(), {"<0>": 'videos/"0".mp4'})
    assert page.count("<video") == 1
    assert 'src="videos/&quot;0&quot;.mp4"' in page
    assert "&lt;faces&gt;" in page
    assert "<faces>" not in page
    assert "<td>21.50</td>" in page


def test_the_command_writes_figures_and_videos(
    animated: Path, corpus: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "evaluation"
    words = [
        "evaluate", "--checkpoint", str(animated), "--corpus", str(corpus.out), "--protocol", "novel-view", "--out",
        str(out), "--clips", "2", "--steps", "1",
    ]  # fmt: skip
    assert main(words) == 0
    assert "| SSIM (higher is better) |" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "evaluation.md", "evaluation.html", "videos"}
    videos = sorted(path.name for path in (out / "videos").iterdir())
    assert len(videos) == 2
    assert all(f"videos/{name}" in (out / "evaluation.html").read_text() for name in videos)
    (out / "videos" / "old.mp4").write_bytes(b"")
    assert main([*words, "--clips", "1"]) == 0
    assert len(list((out / "videos").iterdir())) == 1  # nothing of the one before stays


def test_an_evaluation_is_whole_or_not_there(
    animated: Path, corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: Any, **options: Any) -> None:
        take = takes(load_portrait(animated), corpus, "self")[0]
        assert take.truth is not None
        options["keep"](take, take.truth.video)
        raise UserError("the second take is damaged")

    monkeypatch.setattr("training.evaluation.run.evaluate", stops)
    with pytest.raises(UserError, match="second take"):
        evaluate_to_folder(animated, str(corpus.out), tmp_path / "new", TakeSettings())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already and no evaluation"):
        evaluate_to_folder(animated, str(corpus.out), tmp_path, TakeSettings())
    assert (tmp_path / "mine.txt").read_text() == "mine"
