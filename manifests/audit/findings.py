"""What an audit finds, and every kind of fault that it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Severity = Literal["error", "warning", "note"]
"""An error makes a corpus unsound; a warning may spoil training; a note is only worth knowing."""

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""The gravest first."""


@dataclass(frozen=True)
class Check:
    """One kind of fault."""

    severity: Severity
    title: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One fault."""

    check: str
    """Key of `CHECKS`."""
    clip: str
    """The clip's key, or empty where the fault is the corpus's own."""
    where: str
    """Shard, manifest file, member or column."""
    expected: str
    seen: str

    @property
    def severity(self) -> Severity:
        return CHECKS[self.check].severity

    @property
    def remedy(self) -> str:
        return CHECKS[self.check].remedy


_AGAIN: Final = (
    "delete the shard and the manifest file that has its rows, then run `factorportrait reindex` and the same "
    "`generate` (for a subset, the same `export` alone)"
)
"""Works whether that file is a part or holds the rows of a thousand shards, and renders no other shard."""
_ANEW: Final = f"put back a good copy, or {_AGAIN}"
_ROW: Final = "delete the manifest file that has the row, and run `factorportrait reindex`"
_LEAVE_OUT: Final = "leave the clip out with `factorportrait select`, or find out why by `factorportrait replay`"

CHECKS: Final[dict[str, Check]] = {
    # The folder and its shards.
    "shard-missing": Check("error", "a shard of the manifest is not there", _ANEW),
    "shard-extra": Check(
        "warning",
        "a shard of this corpus is there without rows",
        "if `generate` or `export` was interrupted, run it again; else run `factorportrait reindex` to take it in, or "
        "delete it (in a subset, delete it)",
    ),
    "file-extra": Check(
        "warning",
        "a file is there that belongs to no corpus of this name and size",
        "move it away: no command reads it, but loaders that take all files of a folder do",
    ),
    "shard-truncated": Check("error", "a shard ends before its last clip", _ANEW),
    "shard-malformed": Check("error", "a shard is no plain tar of the manifest's clips", _ANEW),
    "manifest-damaged": Check(
        "error",
        "a file of the manifest is of no use",
        "run `factorportrait reindex`; first move away one that overlaps another or names shards beyond the corpus",
    ),
    "manifest-version": Check(
        "error",
        "a file of the manifest was written by another version of factorportrait",
        "use the version that wrote it, or generate the corpus anew",
    ),
    "manifest-missing": Check(
        "error",
        "a committed range of clips has no rows",
        "run `factorportrait reindex`, then the same `generate` if shards are missing too (for a subset, the same "
        "`export` alone)",
    ),
    "row-invalid": Check("error", "a manifest row says what no clip can be", _ROW),
    "key-duplicate": Check(
        "error",
        "two rows or samples have one key",
        "within a corpus run `factorportrait reindex`; of two corpora of a view leave one out",
    ),
    "corpus-unfinished": Check("note", "not all clips are made yet", "run the same generate command again"),
    "clip-quarantined": Check("warning", "a clip was given up", f"see its error; once that is mended, {_AGAIN}"),
    "software-differs": Check("error", "a clip was made by other software than the corpus says", _ANEW),
    "source-differs": Check(
        "note",
        "the corpus was made by another version or source of factorportrait than audits it",
        "audit with the one that made it wherever bytes or geometry seem to differ",
    ),
    "head-differs": Check("error", "a clip was made from another head file than the corpus says", _ANEW),
    "config-differs": Check(
        "error",
        "a clip, or the corpus' hash, was made from another configuration than the corpus says",
        f"put back the corpus.json that generate wrote; where it is that, {_AGAIN}",
    ),
    # One clip's members.
    "bytes-differ": Check("error", "a member's bytes are not those that were written", _ANEW),
    "member-missing": Check("error", "a sample lacks a member", _ANEW),
    "member-unknown": Check("warning", "a sample holds a member of no known kind", "ignore it: nothing reads it"),
    "member-undecodable": Check("error", "a member cannot be decoded", _ANEW),
    "member-shape": Check("error", "a member has another shape or type than its record says", _ANEW),
    "frame-count": Check("error", "a video has another number of frames than its record says", _ANEW),
    "values-not-finite": Check("error", "an array holds NaN or infinity", _ANEW),
    "spec-disagrees": Check("error", "a sample's record and its manifest row disagree", _ROW),
    # One clip's pictures and geometry.
    "frames-black": Check("error", "a picture shows next to nothing", _LEAVE_OUT),
    "frames-burnt": Check("warning", "much of the person is burnt out", _LEAVE_OUT),
    "frames-frozen": Check("error", "pictures stand still while motion or camera move", _LEAVE_OUT),
    "head-out-of-frame": Check("warning", "the head leaves the picture", _LEAVE_OUT),
    "cameras-disagree": Check("error", "cameras, mesh and landmarks do not fit the pictures", _LEAVE_OUT),
    "landmarks-disagree": Check("error", "landmarks do not fit the cameras", _LEAVE_OUT),
    "normals-disagree": Check("error", "normals do not fit the geometry", _LEAVE_OUT),
    "colour-disagrees": Check("error", "the colour picture does not lie on its labels", _LEAVE_OUT),
    "labels-disagree": Check("error", "segmentation, uv or flow do not fit the geometry", _LEAVE_OUT),
    "depth-disagrees": Check("error", "depth does not fit the geometry", _LEAVE_OUT),
    "replay-differs": Check(
        "error",
        "a clip rendered again is not what is stored",
        "`factorportrait replay` says how far apart they are and whether software differs; where it does not, " + _ANEW,
    ),
    "geometry-unchecked": Check(
        "warning", "no head to check geometry against", "build or import the head, audit again"
    ),
    # The corpus as a whole.
    "identity-in-two-splits": Check(
        "error", "an identity is in more than one split", "leave one of its splits out by `factorportrait select`"
    ),
    "clips-alike": Check(
        "warning",
        "two clips are nearly the same",
        "leave one out by `factorportrait select`, or generate with another seed",
    ),
    "parameter-outlier": Check("warning", "a parameter lies far from all others", _LEAVE_OUT),
    "coverage-hole": Check(
        "warning",
        "a range that the configuration promises is empty",
        "generate more clips (for a subset, choose others)",
    ),
}
