"""A clip on which Blender itself dies, in mid-clip: it costs that clip and no other."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from datagen.config import load_config
from datagen.farm.driver import generate
from datagen.heads.model import head_info
from datagen.pipeline import Pipeline
from manifests.clip import Member
from manifests.manifest import read_manifest
from manifests.table import OK
from tests.conftest import CONFIG, Generated

POISON = 1


class DiesInBlender(Pipeline):
    """A render handler brings the process down in the second picture of one clip."""

    def members(self, index: int) -> list[Member]:
        import bpy

        pictures = []

        def count(*_: Any) -> None:
            pictures.append(1)
            if len(pictures) == 2:
                os.kill(os.getpid(), signal.SIGSEGV)

        handlers = bpy.app.handlers.render_pre
        if index == POISON:
            handlers.append(count)
        try:
            return super().members(index)
        finally:
            handlers.clear()


def test_a_clip_that_always_crashes_blender_is_given_up_and_the_rest_is_as_ever(
    cluster: Cluster, corpus: Generated, tmp_path: Path
) -> None:
    config = load_config(str(CONFIG))
    report = generate(
        config,
        str(tmp_path / "out"),
        config_hash=config.content_hash(head_info(config.head)),
        workers=1,
        pipeline=DiesInBlender,
    )
    assert (report.rendered, report.quarantined, report.failures) == (3, 1, 3)
    rows = {row["index"]: row for row in read_manifest(str(tmp_path / "out")).to_pylist()}
    for whole in corpus.rows():
        row = rows.pop(whole["index"])
        if whole["index"] == POISON:
            assert row["status"] != OK
            assert row["error"] == "worker process died"
        else:
            assert {m["name"]: m["sha256"] for m in row["members"]} == {
                m["name"]: m["sha256"] for m in whole["members"]
            }
    assert not rows
