"""`corpus.json`: what the corpus in a folder is, so that no run mixes two corpora."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from manifests.conventions import FORMAT_VERSION
from manifests.errors import UserError
from manifests.layout import CORPUS_FILE, HALF_EXPORT_FILE, VIEW_FILE, Layout
from manifests.source import installed_digest
from manifests.storage import Storage
from manifests.text import shown

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
"""It becomes part of paths."""

PROGRAM = "factorportrait"
"""The distribution that all this belongs to."""

MOST = 1_000_000_000
"""Of clips, and so of anything counted here."""


@dataclass(frozen=True)
class Subset:
    """Which of a corpus' clips a folder made by `export` holds. They keep their keys and shards."""

    clips: int
    shards: int
    """That hold at least one of them."""
    keys_sha256: str
    """Over the keys in their order, each with a newline behind it."""
    where: str
    """The SQL condition that chose them; empty for a list, or for all that have a sample."""


@dataclass(frozen=True)
class Corpus:
    """What a corpus folder holds, or shall hold."""

    format_version: int
    name: str
    clips: int
    clips_per_shard: int
    config_hash: str
    """Over the resolved configuration without its number of clips, and over the files it names."""
    config: dict[str, Any]
    """The resolved configuration."""
    software: dict[str, str] = field(default_factory=dict)
    """Version of each distribution that shapes the clips' bytes."""
    subset: Subset | None = None
    """None where the folder holds, or shall hold, all clips."""

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.clips, self.clips_per_shard)


def read_corpus(storage: Storage, name: str = CORPUS_FILE) -> Corpus:
    """Raises UserError if the folder is absent, holds no corpus, its corpus.json cannot be read, or another version
    of this program wrote it."""
    try:
        data = storage.read(name)
    except (FileNotFoundError, NotADirectoryError):
        if is_half_export(storage):
            raise UserError(
                f"{storage.url}: half an export, and no corpus yet; run the same `factorportrait export` again"
            ) from None
        if storage.exists(VIEW_FILE):
            raise UserError(f"{storage.url} is a view; give one of the corpora that it stands for") from None
        raise UserError(
            f"{storage.url}: no corpus here (no {CORPUS_FILE}); give the folder that `generate --out` wrote"
        ) from None
    except Exception as error:  # object stores raise what they like
        reason = " ".join(str(error).split())
        raise UserError(
            f"{storage.url}: cannot be read ({type(error).__name__}: {reason}); give access to it, or another folder"
        ) from error
    try:
        fields = json.loads(data)
        _check_version(storage, fields)
        corpus = _parse(fields)
        numbers = (corpus.format_version, corpus.clips, corpus.clips_per_shard)
        texts = (corpus.name, corpus.config_hash)
        sound = (
            all(type(number) is int and 0 < number <= MOST for number in numbers)
            and all(type(text) is str for text in texts)
            and _NAME.fullmatch(corpus.name) is not None
            and isinstance(corpus.config, dict)
            and isinstance(corpus.software, dict)
            and (corpus.subset is None or _is_sound(corpus.subset))
        )
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f"{storage.url}/{name} is damaged; put back a good copy of it, or choose another --out")
    return corpus


def is_half_export(storage: Storage) -> bool:
    """Whether an export into this folder began and did not end."""
    return storage.exists(HALF_EXPORT_FILE) and not storage.exists(CORPUS_FILE)


def write_corpus(storage: Storage, corpus: Corpus, name: str = CORPUS_FILE) -> None:
    fields = dataclasses.asdict(corpus)
    if corpus.subset is None:
        del fields["subset"]
    text = json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False)
    storage.write(name, f"{text}\n".encode())


def check_output(storage: Storage, wanted: Corpus) -> Corpus | None:
    """The corpus that is there already and that `wanted` continues or grows; None for an empty place.

    Raises UserError, and changes nothing, if the place holds another corpus, more clips, or other things, or was
    begun with other software. Of this program the very sources that shape clips must be the same: whoever edits a
    comment in them finishes an old corpus with the old checkout. To tell harmless edits from others would be a guess,
    and one clip among millions that the corpus' own record does not account for is found by nobody, so nothing
    overrides this.
    """
    names = storage.names()
    if CORPUS_FILE not in names:
        if HALF_EXPORT_FILE in names:
            raise UserError(f"output {storage.url} holds half an export; choose another --out")
        if names:
            raise UserError(f"output {storage.url} is not empty and holds no corpus ({names[0]}); choose another --out")
        return None
    found = read_corpus(storage)
    if found.subset is not None:
        raise UserError(
            f"output {storage.url} holds a subset of {found.name} made by export, which cannot grow; "
            "choose another --out"
        )
    if (found.config_hash, found.name, found.clips_per_shard) != (
        wanted.config_hash,
        wanted.name,
        wanted.clips_per_shard,
    ):
        raise UserError(
            f"output {storage.url} holds a corpus of another configuration "
            f"({_difference(found.config, wanted.config)}); choose another --out"
        )
    for name in sorted(found.software | wanted.software):
        there, here = found.software.get(name, "absent"), wanted.software.get(name, "absent")
        if there != here:
            own = "go on with the source that began it (its `factorportrait --version` prints that)"
            raise UserError(
                f"output {storage.url} was begun with {name} {there}, here is {here}: clips could differ; "
                f"{own if name == PROGRAM else f'install {name} {there}'}, or choose another --out"
            )
    if found.clips > wanted.clips:
        raise UserError(
            f"clips: {wanted.clips} is fewer than the {found.clips} that {storage.url} holds; "
            f"set clips to {found.clips} or more, or choose another --out"
        )
    return found


def _check_version(storage: Storage, fields: Any) -> None:
    """Raises UserError if corpus.json is another version's: whatever else is in it, it is not damaged."""
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if type(version) is not int or not 0 < version <= MOST:
        return
    unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(Corpus)})
    if version != FORMAT_VERSION:
        difference = f"it has format {version}, and this program reads {FORMAT_VERSION}"
    elif unknown:
        difference = f"this program does not know its fields {shown(', '.join(unknown))}"
    else:
        return
    software = fields.get("software")
    by = software.get(PROGRAM) if isinstance(software, dict) else None
    raise UserError(
        f"{storage.url}: was written by another version of factorportrait ({difference}; "
        f"{f'it was made by {shown(by, 40)}, ' if by else ''}here is {installed_version(PROGRAM)}): "
        "use the version that wrote it, or generate the corpus anew with this one"
    )


def _parse(fields: Any) -> Corpus:
    """Raises TypeError for fields that no corpus has."""
    if isinstance(fields, dict) and fields.get("subset") is not None:
        fields["subset"] = Subset(**fields["subset"])
    return Corpus(**fields)


def _is_sound(subset: Subset) -> bool:
    numbers = (subset.clips, subset.shards)
    return all(type(number) is int and 0 < number <= MOST for number in numbers) and all(
        type(text) is str for text in (subset.keys_sha256, subset.where)
    )


@functools.cache
def installed_version(name: str) -> str:
    """Version of an installed distribution, or ``absent``. This program's own has a digest of the sources that shape
    clips behind it, ``0.1.0+0123456789ab``: two checkouts of one version may make other clips."""
    try:
        version = metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        version = "absent"
    return f"{version}+{installed_digest()}" if name == PROGRAM else version


def _difference(old: dict[str, Any], new: dict[str, Any], most: int = 3) -> str:
    before, after = _flat(old), _flat(new)
    fields = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    fields = [name for name in fields if name != "clips"]
    if not fields:
        return "the same fields, but a file that they name, such as the head, has changed"
    named = [f"{name}: {_value(before, name)} there, {_value(after, name)} now" for name in fields[:most]]
    more = len(fields) - most
    return "; ".join(named) + (f"; and {more} more" if more > 0 else "")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    return {
        path: leaf
        for name, inner in value.items()
        for path, leaf in _flat(inner, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _value(fields: dict[str, Any], name: str) -> str:
    return json.dumps(fields[name], ensure_ascii=False) if name in fields else "absent"


def without_paths(config: Any) -> Any:
    """A configuration in which users' folders keep their files and lose their paths: no clip follows from those."""
    if isinstance(config, dict):
        if set(config) == {"path", "files"}:
            return {"files": config["files"]}
        return {name: without_paths(value) for name, value in config.items()}
    return [without_paths(value) for value in config] if isinstance(config, list) else config
