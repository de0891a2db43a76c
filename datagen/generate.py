"""The main job: a corpus from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datagen.config import load_config
from datagen.farm.driver import RunReport, generate
from datagen.heads.model import head_info
from datagen.heads.travel import pack_head
from datagen.sampling.clip import software_versions
from manifests.contact_sheet import write_corpus_sheet
from manifests.layout import MANIFEST, SHARDS


@dataclass(frozen=True)
class Generated:
    """A finished corpus and where its things lie."""

    report: RunReport
    shards: str
    manifest: str
    contact_sheet: str
    """Or why there is none."""


def generate_corpus(
    corpus: str,
    out: str,
    *,
    overrides: Mapping[str, str] | None = None,
    workers: int | None = None,
    address: str | None = None,
) -> Generated:
    """Render the corpus of a configuration file, or of a shipped one by name, into a folder or URL.

    The same call resumes an interrupted run. Raises UserError for what the user can mend.
    """
    config = load_config(corpus, overrides)
    head = head_info(config.head)
    config.check_head(head)
    report = generate(
        config,
        out,
        config_hash=config.content_hash(head),
        workers=workers,
        address=address,
        software=software_versions(),
        head=pack_head(config.head) if address else None,
    )
    return Generated(
        report=report,
        shards=f"{report.out}/{SHARDS}",
        manifest=f"{report.out}/{MANIFEST}",
        contact_sheet=_sheet(report.out),
    )


def _sheet(out: str) -> str:
    """Where the contact sheet lies, or why there is none: a corpus is whole without one."""
    try:
        return write_corpus_sheet(out) or "none: no clip to show"
    except Exception as error:
        return f"none: {' '.join(str(error).split())[:200]}"
