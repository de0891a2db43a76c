"""Pictures and cached latents are one to the training; what does not fit is said before the first step."""

from __future__ import annotations

import json
import shutil
import warnings
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from manifests.errors import UserError
from tests.conftest import Generated
from tests.training.conftest import SMALL, Parts, write_encoder
from training.callbacks.swap_tests import SwapTests
from training.data.choice import ReferenceWeights
from training.data.clips import Clips
from training.data.faults import FaultLimit
from training.datamodule import PortraitData
from training.dit import TransformerSettings
from training.encode import Encoded
from training.latents.cache import cache_latents
from training.module import PortraitModule
from training.regions import LossWeights

VIEWS = ReferenceWeights(0, 1, 0)


class Standing:
    """What a data module asks of a trainer."""

    global_rank, world_size = 0, 1

    def __init__(self, module: PortraitModule) -> None:
        self.lightning_module = module


def data(corpus: Generated, module: PortraitModule | None = None, **options: Any) -> PortraitData:
    made = PortraitData(str(corpus.out), **{"frames": 5, "batch_size": 2, "workers": 0, "references": VIEWS, **options})
    if module:
        made.trainer = Standing(module)  # type: ignore[assignment]
    return made


@pytest.fixture(scope="module")
def latents(corpus: Generated, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = str(tmp_path_factory.mktemp("cached") / "latents")
    cache_latents(str(corpus.out), out, codec=parts.codec, expression=parts.expression, frames=5)
    return out


def test_batches_go_on_where_the_module_stands(corpus: Generated, parts: Parts) -> None:
    module = parts.module()
    whole = [batch.key for batch in islice(data(corpus, module).train_dataloader(), 5)]
    module.samples_seen = 6
    rest = [batch.key for batch in islice(data(corpus, module).train_dataloader(), 2)]
    assert rest == whole[3:]
    assert len(set(whole)) > 1


def test_cached_latents_give_batches_that_train(corpus: Generated, parts: Parts, latents: str) -> None:
    module = parts.module(weights=LossWeights(mouth=4))
    module.configure_model()
    loader = data(corpus, module, latents=latents).train_dataloader()
    (batch,) = islice(loader, 1)
    assert isinstance(batch, Encoded)
    assert len(batch.key) == 2
    assert batch.weight.max() > 1
    losses = module.losses(batch, module.generators(2))
    assert losses.shape == (2,)
    assert losses.isfinite().all()


def test_cached_latents_that_do_not_fit_are_refused(
    corpus: Generated, parts: Parts, latents: str, tmp_path: Path
) -> None:
    other = Parts(parts.codec, str(write_encoder(tmp_path / "other", 7)))
    with pytest.raises(UserError, match="was made with expression encoder"):
        data(corpus, other.module(), latents=latents).train_dataloader()
    with pytest.raises(UserError, match=r"holds windows of 5 frames, 1 apart, 3, 1 apart are asked for"):
        data(corpus, parts.module(), latents=latents, frames=3).train_dataloader()
    with pytest.raises(UserError, match="no latents"):
        data(corpus, parts.module(), latents=str(tmp_path)).train_dataloader()


def test_too_few_frames_or_views_are_said(corpus: Generated) -> None:
    with pytest.raises(UserError, match=r"9 .*span 9"):
        data(corpus, frames=9)
    with pytest.raises(UserError, match="references"):
        data(corpus, references=ReferenceWeights(1, 0, 0))


def test_a_split_that_is_empty_validates_nothing_only_if_told_so(corpus: Generated, parts: Parts) -> None:
    with pytest.raises(UserError, match="validation_clips to 0"):
        data(corpus, parts.module()).val_dataloader()
    assert data(corpus, parts.module(), validation_clips=0).val_dataloader() == []


@pytest.fixture
def validating(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training people stand in for a split validation, which the tests' corpus does not have."""
    monkeypatch.setattr(
        "training.datamodule.Clips", lambda corpus, split, subset, **_: Clips(corpus, split="train", subset=subset)
    )


@pytest.mark.usefixtures("validating")
def test_ranks_share_the_clips_to_validate_on(corpus: Generated, parts: Parts) -> None:
    alone = validated(corpus, parts.module(), 0, 1)
    shares = [validated(corpus, parts.module(), rank, 2) for rank in range(2)]
    assert len(alone) == 2
    assert [len(share) for share in shares] == [1, 1]
    assert shares[0] + shares[1] == alone


@pytest.mark.usefixtures("validating")
def test_more_ranks_than_clips_to_validate_on_are_said(corpus: Generated, parts: Parts) -> None:
    with pytest.raises(UserError, match=r"validation_clips: 2 of .* leave none for each of 3 ranks"):
        validated(corpus, parts.module(), 0, 3)


@pytest.mark.usefixtures("validating")
def test_a_subset_is_validated_on_as_well(corpus: Generated, parts: Parts, tmp_path: Path) -> None:
    keys = [row["key"] for row in corpus.rows() if row["split"] == "train"]
    made = data(corpus, parts.module(), subset=listed(tmp_path / "list.txt", keys[1:]), batch_size=1)
    (batch,) = made.val_dataloader()
    assert batch.key[0].startswith(keys[1])


def test_swap_tests_keep_to_a_subset_or_say_why_not(corpus: Generated, parts: Parts, tmp_path: Path) -> None:
    rows = corpus.rows()
    train, test = ([row["key"] for row in rows if row["split"] == split] for split in ("train", "test"))
    made = data(corpus, parts.module(), subset=listed(tmp_path / "train.txt", train))
    trainer: Any = SimpleNamespace(datamodule=made)
    with pytest.raises(UserError, match=r"is in split 'test'.* leave it out of trainer.callbacks"):
        SwapTests(split="test").on_fit_start(trainer, parts.module())
    trainer.datamodule = data(corpus, parts.module(), subset=listed(tmp_path / "one.txt", [*train, test[0]]))
    with pytest.raises(UserError, match="1 clips given, and each needs another"):
        SwapTests(split="test").on_fit_start(trainer, parts.module())


def listed(path: Path, keys: list[str]) -> str:
    path.write_text("".join(f"{key}\n" for key in keys))
    return str(path)


def test_the_videos_trained_on_are_noted(corpus: Generated, parts: Parts) -> None:
    module = parts.module()
    data(corpus, module, frames=2, step=2).train_dataloader()
    height, width = Clips(str(corpus.out)).resolution
    found = module.footage
    assert (found.frames, found.step, found.height, found.width) == (2, 2, height, width)
    assert found.fps == Clips(str(corpus.out)).fps / 2
    spec = Clips(str(corpus.out)).spec(0)
    assert (found.head, found.head_sha256) == (spec["head"]["name"], spec["head"]["sha256"])
    assert found.subdivision == spec["render"]["subdivision"]
    rows = [row for row in corpus.rows() if row["split"] == "train"]
    assert found.focal * 36 == pytest.approx(np.median([row["focal_length_mm"] for row in rows]))
    yaws = [max(abs(row["camera_yaw_deg_min"]), abs(row["camera_yaw_deg_max"])) for row in rows]
    assert min(yaws) <= found.yaw_deg <= max(yaws)
    assert found.pitch_low_deg < found.pitch_high_deg
    assert 0.2 < found.distance_m < 3


def test_going_on_with_other_data_warns(corpus: Generated, tmp_path: Path) -> None:
    keys = [row["key"] for row in corpus.rows() if row["split"] == "train"]
    before = data(corpus).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data(corpus, workers=1).load_state_dict(before)
    with pytest.warns(UserWarning, match="data: frames are others than the checkpoint's"):
        data(corpus, frames=3).load_state_dict(before)
    with pytest.warns(UserWarning, match="data: clips are others"):
        data(corpus, subset=listed(tmp_path / "list.txt", keys[1:]), batch_size=1).load_state_dict(before)


def test_a_clip_that_no_latents_were_made_of_is_counted_and_replaced(
    corpus: Generated, parts: Parts, tmp_path: Path
) -> None:
    damaged, key = with_damage(corpus, tmp_path / "corpus")
    out = str(tmp_path / "latents")
    report = cache_latents(str(damaged), out, codec=parts.codec, expression=parts.expression, frames=5)
    assert [reason.split(":")[0] for reason in report.left_out] == [key]
    made = data(corpus, parts.module(), latents=out, faults=FaultLimit(rate=1.0))
    loader = made.train_dataloader()
    batches = list(islice(loader, 4))
    assert not any(key in sample for batch in batches for sample in batch.key)
    assert loader.faults.total >= 4
    assert loader.faults.last[-1].key == key


def with_damage(corpus: Generated, out: Path) -> tuple[Path, str]:
    """A copy with a clip of split train whose pictures are gone, and its key."""
    shutil.copytree(corpus.out, out)
    row = next(row for row in corpus.rows() if row["split"] == "train")
    shard = next((out / "shards").glob(f"*-{row['shard']:06d}.tar"))
    data = bytearray(shard.read_bytes())
    for member in row["members"]:
        if member["name"].endswith("rgb.mp4"):
            data[member["offset"] : member["offset"] + member["size"]] = bytes(member["size"])
    shard.write_bytes(data)
    return out, row["key"]


def validated(corpus: Generated, module: PortraitModule, rank: int, ranks: int) -> list[str]:
    made = data(corpus, module, validation_clips=2)
    made.trainer.global_rank, made.trainer.world_size = rank, ranks  # type: ignore[union-attr, misc]
    return [key for batch in made.val_dataloader() for key in batch.key]


def test_latents_of_another_corpus_are_refused(corpus: Generated, parts: Parts, latents: str, tmp_path: Path) -> None:
    record = tmp_path / "latents"
    shutil.copytree(latents, record)
    content = json.loads((record / "cache.json").read_text())
    (record / "cache.json").write_text(json.dumps({**content, "config_hash": "0" * 64}))
    with pytest.raises(UserError, match="is another, or a view"):
        data(corpus, parts.module(), latents=str(record)).train_dataloader()


def test_a_size_that_the_model_cannot_take_is_said(corpus: Generated, parts: Parts) -> None:
    odd = TransformerSettings(**{**vars(SMALL), "patch": 3})
    with pytest.raises(UserError, match=r"patch: 3 does not divide the 8 x 10 latents"):
        data(corpus, parts.module(transformer=odd)).train_dataloader()
