"""The first pass of every audit: all rows of the manifest once, and the names and sizes of shards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from manifests.audit.duplicates import SharedKeys
from manifests.audit.folder import check_cover, check_shards, list_shards
from manifests.audit.heads import HeadChecks
from manifests.audit.likeness import COLUMNS, Likeness
from manifests.audit.parameters import Parameters
from manifests.audit.report import Findings
from manifests.audit.row_checks import RowChecks
from manifests.audit.sources import AuditedSource
from manifests.corpus import PROGRAM, installed_version
from manifests.layout import CORPUS_FILE, MANIFEST
from manifests.rows import PLACES, SCALARS, DamagedFileError, OtherVersionError


def check_manifests(sources: Sequence[AuditedSource], found: Findings) -> list[str]:
    """Fills in what the sources count. Returns what could not be checked."""
    likeness, shared = Likeness(), SharedKeys(sources)
    unchecked: list[str] = []
    for source in sources:
        skipped = _check_source(source, found, likeness, shared)
        unchecked += [f"{source.place('')} {item}".strip() for item in skipped]
    shared.report(found)
    batches = ((source.prefix, rows) for source in sources for rows in source.batches(COLUMNS))
    likeness.name(batches, found)
    return unchecked + likeness.skipped()


def _check_source(source: AuditedSource, found: Findings, likeness: Likeness, shared: SharedKeys) -> list[str]:
    corpus = source.corpus
    there = list_shards(source.storage, corpus)
    made, here = corpus.software.get(PROGRAM), installed_version(PROGRAM)
    if made not in (None, here):
        found.add("source-differs", "", source.place(CORPUS_FILE), f"{PROGRAM} {here}", f"{PROGRAM} {made}")
    parameters = Parameters(source.promise, found, source.place)
    heads = HeadChecks(source.promise, found, source.place)
    keys = hashlib.sha256()
    for item in source.files:
        checks = RowChecks(source.promise, item, found, source.place)
        try:
            for rows in source.read(item, [*SCALARS, *PLACES]):
                checks.check(rows)
                parameters.add(rows)
                heads.add(rows, item.path)
                likeness.add(rows)
                shared.add(source, rows)
                if corpus.subset is not None:
                    keys.update("".join(f"{key}\n" for key in rows.batch.column("key").to_pylist()).encode())
                source.clips += len(rows)
                source.with_sample += int(rows.ok.sum())
        except DamagedFileError as error:
            source.damaged.add(item.path)
            check = "manifest-version" if isinstance(error, OtherVersionError) else "manifest-damaged"
            found.add(check, "", source.place(item.path), "a file of rows, with the columns of this version", error)
            continue
        checks.finish()
        source.shards += len(checks.ends)
        check_shards(item, checks.ends, there, corpus, found, source.place)
    heads.finish()
    check_cover(source.storage, corpus, there, found, source.place, source.promise.subset)
    if corpus.subset is not None and keys.hexdigest() != corpus.subset.keys_sha256:
        expected = f"rows of the {corpus.subset.clips} clips that were exported"
        found.add("manifest-missing", "", source.place(MANIFEST), expected, f"{source.clips} rows, or other clips")
    return parameters.finish()
