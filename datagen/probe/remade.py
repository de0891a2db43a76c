"""A stored clip's mesh over time, and all of a clip once more."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.heads.store import check_name
from datagen.probe.stored import head_of, motion_of
from manifests.clip import Member

Array = NDArray[Any]


def mesh_probe(spec: Mapping[str, Any], motion: Mapping[str, Array]) -> tuple[Array, Array]:
    """Vertices float32 [T, V, 3] in world metres and faces int32 [F, 3] of the clip's head, not subdivided."""
    head, _ = head_of(spec)
    return head.pose(motion_of(motion)), np.asarray(head.faces, np.int32)


def rerender(config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
    """The members of clip `index` of a corpus, from its resolved configuration.

    Raises UserError if the configuration is damaged, or the head or device is not on this machine.
    """
    from datagen.config import CorpusConfig
    from datagen.pipeline import Pipeline

    check_name(str(config.get("head", "")))
    text = json.dumps(config)
    if device is not None:
        changed = CorpusConfig.from_json(text).model_dump(mode="json")
        changed["render"]["device"] = device
        text = CorpusConfig.from_json(json.dumps(changed)).to_json()
    return _pipeline(Pipeline, text).members(index)


@functools.lru_cache(maxsize=1)
def _pipeline(kind: type, config_json: str) -> Any:
    return kind(config_json)
