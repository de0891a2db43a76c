"""A dataset card: what a corpus holds, how to read it, where it comes from and under which licences.

The form is that of the Hugging Face hub: a YAML header between two lines of dashes, then Markdown
(https://huggingface.co/docs/hub/datasets-cards). Whatever stands in it may come from a stranger's corpus, so
all text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import yaml

from manifests.conventions import AGE_GROUPS, SEGMENTATION_CLASSES, SPLITS
from manifests.database import Database, open_database
from manifests.layout import MANIFEST, SHARDS, Layout
from manifests.licences import Asset, assets
from manifests.markdown import table
from manifests.reader import CorpusReader, Source
from manifests.status import duration
from manifests.table import OK
from manifests.text import printable

CARD_FILE: Final = "README.md"
NOTICE_FILE: Final = "NOTICE"

MOST_LISTED_SHARDS: Final = 1000
"""Shards that the header names one by one, where each holds one split alone."""
_MOST_COUNTS: Final = 50
_LONGEST_S: Final = 1e12

_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
_TASKS: Final = {"depth": "depth-estimation", "segmentation": "image-segmentation"}
_TAGS: Final = (
    "webdataset", "synthetic", "video", "multi-view", "face", "portrait-animation", "camera-control", "landmarks",
)  # fmt: skip

_MEMBERS: Final = (
    ("spec.json", "", "all that made the clip: seed, recipe, identity, split, head, look, versions, codecs"),
    ("motion.npz", "", "shape; expression, root, neck, jaw, eyes and translation a frame (radians, metres)"),
    ("cameras.npz", "", "`K` [V, T, 3, 3] and `world_to_camera` [V, T, 4, 4]"),
    ("landmarks.npz", "", "68 iBUG points and 2 pupils: in the world, in each picture, and whether visible"),
    ("vNN.rgb.mp4", "", "colour, H.264 RGB"),
    ("vNN.alpha.mkv", "", "how much of each pixel the person covers"),
    ("vNN.pose_normals.mkv", "", "world normals of the posed mesh with a neutral face"),
    ("vNN.depth.mkv", "depth", "z-depth, 16 bits of 0.1 mm; 0 is no surface"),
    ("vNN.normals.mkv", "normals", "world normals with expression"),
    ("vNN.segmentation.mkv", "segmentation", f"class index: {', '.join(SEGMENTATION_CLASSES)}"),
    ("vNN.uv.mkv", "uv", "texture coordinates, 16 bits"),
    ("vNN.flow.mkv", "flow", "optical flow from frame t to t+1, 16 bits of 1/32 pixel"),
)


def card(reader: CorpusReader, picture: str | None = None) -> str:
    """The card of one corpus, or of a subset of one; `picture` is a file beside it that shows some clips.

    Equal corpora give equal cards. Raises UserError if the manifest cannot be read.
    """
    source = reader.sources[0]
    with open_database(clips=reader) as database:
        totals = _only_row(database, _TOTALS)
        header = _header(source, database, totals)
        body = [
            f"# {source.corpus.name}",
            _summary(source, totals, picture),
            "## Clips",
            _holdings(totals),
            *(_counts(database, column, column) for column in ("split", "recipe", "template")),
            "## People",
            _PEOPLE,
            *(_counts(database, title, value) for title, value in _TRAITS.items()),
            "## Files",
            _files(source, totals["labels"] or []),
            "## Reading",
            _reading(source),
            "## Provenance",
            _provenance(source, totals),
        ]
    body += ["## Licences", _licences(assets(reader))]
    return f"---\n{header}---\n\n" + "\n\n".join(body) + "\n"


def notice(reader: CorpusReader) -> str:
    """The licences of everything that shaped a corpus, as plain text."""
    lines = [f"{reader.sources[0].corpus.name}: what it was made from", ""]
    for asset in assets(reader):
        lines.append(printable(f"{asset.kind} {asset.name} {asset.version}".rstrip()))
        lines.append(printable(f"    {asset.licence}" + (f" ({asset.note})" if asset.note else "")))
    return "\n".join(lines) + "\n"


_TOTALS: Final = f"""
    SELECT count(*) AS clips, count(DISTINCT shard) AS shards, count(DISTINCT identity) AS identities,
           coalesce(sum(frames::DOUBLE * views), 0)::BIGINT AS pictures,
           coalesce(sum(frames::DOUBLE * views / fps), 0) AS seconds,
           coalesce(sum(size), 0)::BIGINT AS bytes, min(frames) AS frames_min, max(frames) AS frames_max,
           min(views) AS views_min, max(views) AS views_max, min(fps) AS fps_min, max(fps) AS fps_max,
           min(width) AS width_min, max(width) AS width_max, min(height) AS height_min, max(height) AS height_max,
           min(seed) AS seed_min, max(seed) AS seed_max, min(labels) AS labels
    FROM clips WHERE status = '{OK}'
"""


def _header(source: Source, database: Database, totals: dict[str, Any]) -> str:
    """License is ``other``: whoever publishes a corpus chooses it, within what the assets' licences allow."""
    tasks = [task for label, task in _TASKS.items() if label in (totals["labels"] or [])]
    fields = {
        "pretty_name": source.corpus.name,
        "license": "other",
        "license_name": "see-notice",
        "license_link": NOTICE_FILE,
        "task_categories": ["image-to-video", "keypoint-detection", *tasks],
        "tags": list(_TAGS),
        "size_categories": [next((name for most, name in _SIZES if totals["clips"] < most), _SIZES[-1][1])],
        "annotations_creators": ["machine-generated"],
        "configs": [
            {"config_name": "clips", "default": True, "data_files": _data_files(source.corpus.layout, database)},
            {"config_name": "manifest", "data_files": [{"split": "clips", "path": f"{MANIFEST}/*.parquet"}]},
        ],
    }
    return str(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120))


def _data_files(layout: Layout, database: Database) -> list[dict[str, Any]]:
    """Shards by split where each holds one split alone. Identities belong to splits and shards to clips, so most
    shards hold several: those are all called ``mixed``, and the record of each clip says its split."""
    everything = f"{SHARDS}/*.tar"
    splits = [row["split"] for row in _rows(database, _SPLITS_OF_SHARDS.format(what="DISTINCT split"))]
    if len(splits) == 1 and splits[0] in SPLITS:
        return [{"split": splits[0], "path": everything}]
    shards = _only_row(database, _SPLITS_OF_SHARDS.format(what="count(*) AS pairs, count(DISTINCT shard) AS shards"))
    if shards["pairs"] > min(shards["shards"], MOST_LISTED_SHARDS) or not set(splits) <= set(SPLITS):
        return [{"split": "mixed", "path": everything}]
    found = _rows(database, _SPLITS_OF_SHARDS.format(what="split, shard") + " ORDER BY shard")
    paths: dict[str, list[str]] = {split: [] for split in SPLITS if split in splits}
    for row in found:
        paths[row["split"]].append(layout.shard_path(row["shard"]))
    return [{"split": split, "path": path} for split, path in paths.items()]


_SPLITS_OF_SHARDS: Final = f"SELECT {{what}} FROM (SELECT DISTINCT split, shard FROM clips WHERE status = '{OK}')"


def _groups(column: str, names: Mapping[str, float]) -> str:
    """An SQL expression for which of some groups a number belongs to: name -> what it is below."""
    cases = " ".join(f"WHEN {column} < {below:g} THEN '{name}'" for name, below in names.items())
    return f"CASE {cases} WHEN {column} IS NOT NULL THEN 'beyond' END"


_PEOPLE: Final = (
    "Nobody here is real. Each identity was drawn with an age, a gender expression and shares of three ancestries, "
    "which shape its face where the head model has components for them, and with a skin tone that none of them sets."
)
_TRAITS: Final = {
    "age": _groups("age_years", {f"{low:g} to {high:g} years": high for low, high in AGE_GROUPS.values()}),
    "gender expression": _groups("gender", {"feminine": 0.3, "between": 0.7, "masculine": 1.001}),
    "main ancestry": "ancestry",
    "skin tone (melanin)": _groups(
        "melanin", {"0 to 0.25": 0.25, "0.25 to 0.5": 0.5, "0.5 to 0.75": 0.75, "0.75 to 1": 1.001}
    ),
}


def _summary(source: Source, totals: dict[str, Any], picture: str | None) -> str:
    corpus = source.corpus
    text = (
        f"{totals['clips']:,} clips of synthetic people: multi-view video of posed, talking, blinking heads with "
        "exact labels, rendered with Blender for training video models. No real person is shown. "
        "Made by factorportrait."
    )
    if corpus.subset is not None:
        text += f" A subset of a corpus of {corpus.clips:,} clips; keys and shards are those of the whole."
    return text if picture is None else f"{text}\n\n![Some clips]({picture})"


def _holdings(totals: dict[str, Any]) -> str:
    seconds = totals["seconds"]
    length = duration(seconds) if 0 <= seconds < _LONGEST_S else "unknown length"
    return table(
        ("what", "how much"),
        [
            ("clips", f"{totals['clips']:,} of {totals['identities']:,} identities in {totals['shards']:,} shards"),
            ("pictures", f"{totals['pictures']:,}, {length} of video, all views counted"),
            ("size", f"{totals['bytes']:,} bytes"),
            ("frames a clip", _span(totals, "frames")),
            ("views a clip", _span(totals, "views")),
            ("frames a second", _span(totals, "fps")),
            ("resolution", f"{_span(totals, 'width')} × {_span(totals, 'height')} pixels"),
        ],
    )


def _counts(database: Database, title: str, value: str) -> str:
    """Clips and identities by an SQL expression over the columns."""
    sql = f"""
        SELECT coalesce({value}, 'not known') AS value, count(*) AS clips, count(DISTINCT identity) AS identities
        FROM clips WHERE status = '{OK}' GROUP BY ALL ORDER BY clips DESC, value LIMIT {_MOST_COUNTS}
    """
    found = _rows(database, sql)
    return table((title, "clips", "identities"), [(row["value"], row["clips"], row["identities"]) for row in found])


def _files(source: Source, labels: Sequence[str]) -> str:
    rows = [(f"`{name}`", content) for name, label, content in _MEMBERS if not label or label in labels]
    return "\n\n".join(
        [
            f"`{source.corpus.layout.shard_path(0).replace('000000', 'NNNNNN')}` are WebDataset shards. One sample is "
            "one clip with all its views, V of them over T frames:",
            "\n".join(
                ["| member | content |", "| --- | --- |", *(f"| {name} | {content} |" for name, content in rows)]
            ),
            f"`{MANIFEST}/*.parquet` is one table with a row a clip: recipe, split, identity, ranges of camera and "
            "head, member offsets and SHA-256. `wids.json` lists the shards for indexed reading.",
            "The world is the head model's space: metres, right-handed, +Y up, the face looks along +Z, the origin is "
            "the neck joint of the mean shape. Cameras have OpenCV axes (x right, y down, z forward); `K` is in pixels "
            "whose centres lie at +0.5. Rotations are axis-angle in radians, normals unit vectors in world space.",
        ]
    )


def _reading(source: Source) -> str:
    name = source.corpus.name
    return "\n".join(
        [
            "```python",
            "import glob",
            "import webdataset as wds",
            "import wids",
            "",
            f"samples = wds.WebDataset(sorted(glob.glob('{SHARDS}/{name}-*.tar')), shardshuffle=False)  # one by one",
            "sample = wids.ShardListDataset('wids.json')[0]  # or any of them",
            "```",
            "",
            "PyAV decodes the videos; `manifests.decode` of factorportrait gives them as metres and unit vectors.",
        ]
    )


def _provenance(source: Source, totals: dict[str, Any]) -> str:
    corpus = source.corpus
    rows = [
        ("configuration", f"corpus.json, SHA-256 {corpus.config_hash}"),
        ("seed", _span(totals, "seed")),
        ("format", corpus.format_version),
        *((str(name), version) for name, version in sorted(corpus.software.items())),
    ]
    if corpus.subset is not None:
        rows.append(("subset", f"{corpus.subset.clips:,} clips, SHA-256 of their keys {corpus.subset.keys_sha256}"))
        rows.append(("chosen by", corpus.subset.where or "a list of keys, or all that have a sample"))
    return "A clip follows from the configuration, the seed and its number alone.\n\n" + table(("what", "value"), rows)


def _licences(found: Iterable[Asset]) -> str:
    rows = [(asset.kind, asset.name, asset.version, asset.licence, asset.note) for asset in found]
    return (
        "These shaped the clips. Whoever publishes this corpus chooses a licence for it within what they allow, and "
        "writes it into the header of this card.\n\n" + table(("kind", "name", "version", "licence", "note"), rows)
    )


def _span(totals: dict[str, Any], name: str) -> str:
    low, high = totals[f"{name}_min"], totals[f"{name}_max"]
    if low is None:
        return "none"
    return f"{low:.15g}" if low == high else f"{low:.15g} to {high:.15g}"


def _rows(database: Database, sql: str) -> list[dict[str, Any]]:
    return [row for batch in database.select(sql) for row in batch.to_pylist()]


def _only_row(database: Database, sql: str) -> dict[str, Any]:
    return _rows(database, sql)[0]
