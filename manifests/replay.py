"""One clip rendered again and held against what is stored: byte by byte, and where another device or other software
rendered it, within tolerances."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from manifests.audit.probe import Rerender
from manifests.corpus import PROGRAM, installed_version
from manifests.decode import DEPTH_STEP_M, FLOW_STEP_PX, NORMAL_SCALE, read_arrays, read_frames, read_json
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.table import OK

Array = NDArray[Any]
Verdict = Literal["equal", "close", "differs"]

FRAMES_HELD: Final = 8
"""Frames of a video that are compared at once."""


@dataclass(frozen=True)
class Tolerance:
    """Two pictures or arrays are close if their mean difference, and the share of values that differ by more than
    `step`, are both within bounds. Values are those that `manifests.decode` gives."""

    mean: float
    step: float
    share: float
    unit: str

    def __str__(self) -> str:
        if self.share == 1:
            return f"mean {self.mean:g} {self.unit}"
        beyond = "no value" if self.share == 0 else f"at most {100 * self.share:g} % of values"
        return f"{beyond} off by more than {self.step:.2g} {self.unit}"


_ANY: Final = math.inf

TOLERANCES: Final[dict[str, Tolerance]] = {
    "rgb": Tolerance(1.0, _ANY, 1.0, "of 255"),
    "alpha": Tolerance(1.0, _ANY, 1.0, "of 255"),
    "pose_normals": Tolerance(_ANY, 2.5 / NORMAL_SCALE, 0.001, "(unit vectors)"),
    "normals": Tolerance(_ANY, 2.5 / NORMAL_SCALE, 0.001, "(unit vectors)"),
    "depth": Tolerance(_ANY, 2.5 * DEPTH_STEP_M, 0.001, "m"),
    "segmentation": Tolerance(_ANY, 0.0, 0.01, "(another class)"),
    "uv": Tolerance(_ANY, 1e-3, 0.001, "of the texture"),
    "flow": Tolerance(_ANY, 2.5 * FLOW_STEP_PX, 0.001, "px"),
    "motion": Tolerance(_ANY, 1e-5, 0.0, "rad or m"),
    "cameras": Tolerance(_ANY, 1e-6, 0.0, "px or m"),
    "landmarks": Tolerance(_ANY, 1e-2, 0.005, "px or m"),
}
"""By label, or name of arrays. Colour and coverage are path traced and denoised, so two devices agree in the mean.
Labels come from one rasteriser on the processor: two of their steps (and a half, for rounding), but for pixels on an
outline, which may fall to either side of it. Where hair lies comes from Blender, so more of the segmentation, and of
which landmarks are visible, may differ."""

_OF_THE_MACHINE: Final = ("software", "render", "config_hash")
"""What spec.json says of how and where a clip is rendered, not of what it shows."""
_RELATIVE: Final = 1e-6


@dataclass(frozen=True)
class MemberReplay:
    """One file of the sample, stored and rendered again."""

    name: str
    verdict: Verdict
    why: str = ""
    """What differs; empty where the bytes are equal."""
    mean: float | None = None
    """Mean absolute difference of all values, in the label's unit; None where none was taken."""
    largest: float | None = None


@dataclass(frozen=True)
class ReplayReport:
    """A clip rendered again."""

    url: str
    clip: str
    reasons: tuple[str, ...]
    """Why bytes may differ: another device, other software. Without any, only equal bytes are the same."""
    members: tuple[MemberReplay, ...]

    @property
    def exact(self) -> bool:
        return not self.reasons

    @property
    def same(self) -> bool:
        sound = ("equal",) if self.exact else ("equal", "close")
        return bool(self.members) and all(member.verdict in sound for member in self.members)


def replay(out: str, clip: str, rerender: Rerender, device: str | None = None) -> ReplayReport:
    """Render the clip with the key `clip` again, on `device` instead of the configuration's, and compare.

    Raises UserError if there is no such clip, it was given up, its members cannot be read, or this machine cannot
    render it.
    """
    reader = CorpusReader(out)
    row = reader.row(clip)
    corpus = reader.sources[row["source"]].corpus
    if row["status"] != OK:
        raise UserError(f"clip {clip}: was given up ({str(row['error'])[:200]}), so nothing is stored to compare with")
    if corpus.layout.key(row["index"]) != clip or row["config_hash"] != corpus.config_hash:
        raise UserError(f"clip {clip}: its row is of another clip or configuration than corpus.json; audit the corpus")
    stored = reader.members(row)
    written = {member["name"]: member["sha256"] for member in row["members"] or []}
    made = {member.name: member.data for member in rerender(corpus.config, row["index"], device)}
    frames = read_json("spec.json", made["spec.json"])["frames"]
    members = []
    for name in [*made, *(name for name in stored if name not in made)]:
        found = _compare(name, stored.get(name), made.get(name), frames)
        if found.verdict != "equal" and name in stored and hashlib.sha256(stored[name]).hexdigest() != written[name]:
            found = MemberReplay(name, "differs", "the stored bytes are damaged: not those that were written")
        members.append(found)
    return ReplayReport(reader.url, clip, tuple(_reasons(corpus.config, corpus.software, device)), tuple(members))


def format_replay(report: ReplayReport) -> str:
    """A line a member, and what it comes to."""
    width = max((len(member.name) for member in report.members), default=0)
    lines = [f"{report.clip}  {report.url}"]
    lines += [f"  {m.name:{width}}  {m.verdict:7}  {m.why}".rstrip() for m in report.members]
    equal = sum(member.verdict == "equal" for member in report.members)
    summary = f"{equal} of {len(report.members)} members have equal bytes"
    if report.same:
        lines.append(f"same: {summary}" + ("" if report.exact else ", the others are close"))
    elif any(member.verdict == "differs" for member in report.members):
        lines.append(f"different: {summary}")
    else:
        lines.append(f"different: {summary}; the others are as close as another kind of processor may bring them")
    return "\n".join(lines + [f"  not held to equal bytes: {reason}" for reason in report.reasons])


def _reasons(config: Mapping[str, Any], software: Mapping[str, str], device: str | None) -> Iterator[str]:
    render = config.get("render")
    configured = render.get("device") if isinstance(render, dict) else None
    if device is not None and device != configured:
        yield f"rendered on {device}, the corpus on {str(configured)[:40]}"
    for name, version in sorted(software.items()):
        here = installed_version(name)
        if here != version:
            what = " (version and digest of the source that shapes clips)" if name == PROGRAM else ""
            yield f"{name[:40]} is {here}, the corpus was made with {str(version)[:40]}{what}"


def _compare(name: str, stored: bytes | None, made: bytes | None, frames: int) -> MemberReplay:
    if stored is None or made is None:
        return MemberReplay(name, "differs", "not stored" if stored is None else "not rendered any more")
    if stored == made:
        return MemberReplay(name, "equal")
    if len(stored) > 16 * len(made) + (1 << 20):
        return MemberReplay(name, "differs", f"{len(stored)} bytes are stored, {len(made)} were rendered")
    try:
        if name.endswith(".json"):
            return _compare_records(name, read_json(name, stored), read_json(name, made))
        if name.endswith(".npz"):
            return _compare_arrays(name, stored, made)
        return _judge(name, name.split(".")[-2], _windows(name, stored, made, frames))
    except UserError as error:
        return MemberReplay(name, "differs", str(error)[:300])


def _compare_records(name: str, stored: dict[str, Any], made: dict[str, Any]) -> MemberReplay:
    fields = sorted(field for field in stored.keys() | made.keys() if not _alike(stored.get(field), made.get(field)))
    shown = ", ".join(field[:40] for field in fields[:5]) or "numbers, in their last digits"
    verdict: Verdict = "close" if set(fields) <= set(_OF_THE_MACHINE) else "differs"
    return MemberReplay(name, verdict, f"differs in {shown}")


def _alike(a: Any, b: Any) -> bool:
    """Equal but for the last digits of numbers."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=_RELATIVE)
    return type(a) is type(b) and bool(a == b)


def _compare_arrays(name: str, stored: bytes, made: bytes) -> MemberReplay:
    new = read_arrays(name, made)
    old = read_arrays(name, stored, max_bytes=2 * sum(array.nbytes for array in new.values()) + (1 << 20))
    shapes = [{key: (array.shape, array.dtype) for key, array in arrays.items()} for arrays in (old, new)]
    if shapes[0] != shapes[1]:
        return MemberReplay(name, "differs", "its arrays have other names, shapes or types")
    return _judge(name, name.removesuffix(".npz"), ((old[key], new[key]) for key in new))


def _windows(name: str, stored: bytes, made: bytes, frames: int) -> Iterator[tuple[Array, Array]]:
    """Both videos, some frames at a time. Raises UserError if they are not of one size and length."""
    for start in range(0, frames, FRAMES_HELD):
        stop = min(start + FRAMES_HELD, frames)
        new = read_frames(name, made, start, stop)
        old = read_frames(name, stored, start, stop, max_bytes=2 * new.nbytes + (1 << 20))
        if old.shape != new.shape:
            raise UserError(f"frames of {old.shape[1:3]} are stored, rendered ones have {new.shape[1:3]}")
        yield old, new
    try:
        read_frames(name, stored, frames, frames + 1)
    except UserError:
        return
    raise UserError(f"more than {frames} frames are stored")


def _judge(name: str, label: str, pairs: Iterable[tuple[Array, Array]]) -> MemberReplay:
    tolerance = TOLERANCES.get(label)
    if tolerance is None:
        return MemberReplay(name, "differs", "of no known kind, and its bytes are others")
    count, beyond, total, largest = 0, 0, 0.0, 0.0
    for old, new in pairs:
        difference = np.abs(new.astype(np.float64) - old)
        count += difference.size
        beyond += difference.size - int((difference <= tolerance.step).sum())  # so that NaN is beyond
        total += float(difference.sum())
        largest = max(largest, float(difference.max(initial=0)))
    mean, share = total / max(count, 1), beyond / max(count, 1)
    close = mean <= tolerance.mean and share <= tolerance.share
    why = f"mean {mean:.2g}, largest {largest:.2g}"
    if math.isfinite(tolerance.step):
        why += f", {100 * share:.2g} % off by more than {tolerance.step:.2g}"
    return MemberReplay(name, "close" if close else "differs", f"{why}; close is {tolerance}", mean, largest)
