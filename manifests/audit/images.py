"""The pictures of a view: decodable, of the right size and number, neither black, burnt, frozen nor empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from manifests.audit import fingerprint
from manifests.audit.arrays import Add, Array, Shape
from manifests.conventions import SEGMENTATION_CLASSES
from manifests.decode import read_frames
from manifests.errors import UserError

WINDOW_BYTES = 96 << 20
"""About so much of one label is decoded at a time; 8 frames of 1024 x 1024, which lie between two key frames."""

BLACK, BURNT = 6.0, 250
"""Of 255: a person whose mean is below the one is not seen; channels all above the other hold nothing."""
BURNT_SHARE = 0.3
"""Of the person."""
CHANGED, MOVED_PX = 2, 0.02
STILL_SHARE, STILL_SHARE_PER_PX = 0.001, 0.01
"""Where landmarks move on average by `MOVED_PX` or more, fewer pixels than the smaller of these shares, the second
for each pixel of movement, change by more than `CHANGED` of 255 only if a picture was repeated. Coding a repeated
picture again changes 0.0008 of the pixels so far at most; rendered ones differ in 0.02 and more."""
SMALLEST_SHARE = 0.01
"""Of the picture that a person covers."""
INSIDE = 0.5
"""Of the landmarks; a head that shows fewer has left the picture."""
ON_ALPHA, FEWEST_VISIBLE = 0.5, 10
"""Of the visible landmarks, if there are so many, next to a pixel of alpha: those at the outline may just miss it."""
TOP_COVERED, SIDE_COVERED = 0.25, 0.6
"""Of an edge, from where on a head is cut by it. Shoulders cover up to 0.1 of a side."""

_DECODED_BYTES = {"rgb": 3, "alpha": 1, "segmentation": 1, "pose_normals": 12, "normals": 12, "depth": 4}
_FLOAT_PAIR = 8
_TOO_SHORT, _TOO_LARGE = "it ends at ", " when decoded"
"""What `manifests.decode` says of such videos."""


def windows(
    view: int, labels: Sequence[str], members: Mapping[str, bytes], shape: Shape, add: Add
) -> Iterator[tuple[int, dict[str, Array]]]:
    """First frame and pictures [t, H, W, ...] by label, some frames at a time; a faulty video is left out."""
    sound = {label: f"v{view:02d}.{label}.{'mp4' if label == 'rgb' else 'mkv'}" for label in labels}
    for label, name in list(sound.items()):
        most = (1 << 20) + 2 * shape.frames * _frame_bytes(label, shape)
        if name not in members:
            add("member-missing", name, name, "none")
            del sound[label]
        elif len(members[name]) > most:  # a list of its packets would take many times that
            add("member-undecodable", name, f"at most {most} bytes", f"{len(members[name])} bytes")
            del sound[label]
    length = max(1, WINDOW_BYTES // (shape.height * shape.width * 12))
    for start in range(0, shape.frames, length):
        stop = min(start + length, shape.frames)
        pictures: dict[str, Array] = {}
        for label, name in list(sound.items()):
            window = _read(name, label, members[name], shape, start, stop, add)
            if window is None:
                del sound[label]
            else:
                pictures[label] = window
        yield start, pictures


def _read(name: str, label: str, data: bytes, shape: Shape, start: int, stop: int, add: Add) -> Array | None:
    frame_bytes = _frame_bytes(label, shape)
    last = stop == shape.frames
    # The last window is read to the end of the video, with room for one frame too many and no more.
    room = (stop - start + (1 if last else 0)) * frame_bytes
    count, size = f"{shape.frames} frames", f"{shape.width} x {shape.height}"
    try:
        found = read_frames(name, data, start, None if last else stop, room)
    except UserError as error:
        text = str(error)
        if _TOO_SHORT in text:
            add("frame-count", name, count, f"{text.rpartition(_TOO_SHORT)[2]} frames")
        elif _TOO_LARGE not in text:
            add("member-undecodable", name, "a video", text)
        elif _first_fits(name, data, frame_bytes):
            add("frame-count", name, count, f"more than {count}")
        else:
            add("member-shape", name, size, text)
        return None
    except Exception as error:  # decoders raise what they like for a file made to harm
        add("member-undecodable", name, "a video", f"{type(error).__name__}: {error}")
        return None
    if found.shape[1:3] != (shape.height, shape.width):
        add("member-shape", name, size, f"{found.shape[2]} x {found.shape[1]}")
    elif len(found) != stop - start:
        seen = f"{start + len(found)} frames" if len(found) < stop - start else f"more than {count}"
        add("frame-count", name, count, seen)
    elif label == "segmentation" and found.max() >= len(SEGMENTATION_CLASSES):
        add("member-undecodable", name, f"classes up to {len(SEGMENTATION_CLASSES) - 1}", f"class {found.max()}")
    else:
        return found
    return None


def _first_fits(name: str, data: bytes, frame_bytes: int) -> bool:
    try:
        read_frames(name, data, 0, 1, frame_bytes)
    except Exception:  # as above: decoders raise what they like
        return False
    return True


def _frame_bytes(label: str, shape: Shape) -> int:
    return shape.height * shape.width * _DECODED_BYTES.get(label, _FLOAT_PAIR)


class ViewCheck:
    """Looks at one view's colour and alpha as they come; ``landmarks`` are the clip's, if they are sound."""

    def __init__(self, view: int, shape: Shape, landmarks: Mapping[str, Array] | None, add: Add) -> None:
        self._name, self._alpha_name = f"v{view:02d}.rgb.mp4", f"v{view:02d}.alpha.mkv"
        self._shape, self._add = shape, add
        self._pixels = None if landmarks is None else landmarks["pixels"][view]
        self._visible = None if landmarks is None else landmarks["visible"][view]
        self._last: Array | None = None
        self._worst: dict[str, list[tuple[int, float]]] = {}
        self._shown = shape.watched
        self.thumbnails: list[bytes] = []

    def take(self, start: int, pictures: Mapping[str, Array]) -> None:
        """The next window of `windows`."""
        colour, alpha = pictures.get("rgb"), pictures.get("alpha")
        for i in range(len(alpha) if alpha is not None else 0):
            self._look_at_alpha(start + i, alpha[i] > 127)  # type: ignore[index]
        for i in range(len(colour) if colour is not None else 0):
            self._look_at_colour(start + i, colour[i], None if alpha is None else alpha[i] > 127)  # type: ignore[index]

    def finish(self) -> None:
        """Tells what was seen."""
        tell = self._tell
        tell("black", "frames-black", self._name, f"a person brighter than {BLACK:g} of 255 on average")
        tell("burnt", "frames-burnt", self._name, f"at most {BURNT_SHARE:g} of the person at the end of the scale")
        tell("frozen", "frames-frozen", self._name, f"another picture where landmarks move {MOVED_PX:g} px")
        tell("empty", "head-out-of-frame", self._alpha_name, f"a person on {SMALLEST_SHARE:g} of the picture")
        tell("top", "head-out-of-frame", self._alpha_name, f"at most {TOP_COVERED:g} of the upper edge covered")
        tell("side", "head-out-of-frame", self._alpha_name, f"at most {SIDE_COVERED:g} of either side covered")
        tell("off", "cameras-disagree", self._alpha_name, f"alpha under {ON_ALPHA:g} of the visible landmarks")
        self._landmarks_inside()

    def _look_at_alpha(self, frame: int, person: Array) -> None:
        share, top = float(person.mean()), float(person[0].mean())
        side = float(max(person[:, 0].mean(), person[:, -1].mean()))
        self._note("empty", frame, share, share < SMALLEST_SHARE)
        self._note("top", frame, top, top > TOP_COVERED)
        self._note("side", frame, side, side > SIDE_COVERED)
        if self._pixels is not None and self._visible is not None:
            on = _near(person, self._pixels[frame][self._visible[frame]])
            self._note(
                "off", frame, float(on.mean()) if len(on) else 1.0, len(on) >= FEWEST_VISIBLE and on.mean() < ON_ALPHA
            )

    def _look_at_colour(self, frame: int, colour: Array, person: Array | None) -> None:
        seen = colour.reshape(-1, 3) if person is None else colour[person]
        if len(seen) >= SMALLEST_SHARE * colour[..., 0].size:
            mean, burnt = float(seen.mean()), float((seen.min(axis=-1) >= BURNT).mean())
            self._note("black", frame, mean, mean < BLACK)
            self._note("burnt", frame, burnt, burnt > BURNT_SHARE)
        picture = colour.astype(np.int16)
        moved = self._moved(frame)
        if self._last is not None and moved >= MOVED_PX:
            change = float((np.abs(picture - self._last).max(axis=-1) > CHANGED).mean())
            self._note("frozen", frame, change, change < min(STILL_SHARE_PER_PX * moved, STILL_SHARE))
        self._last = picture
        if frame in self._shown:
            self.thumbnails.append(fingerprint.thumbnail(colour))

    def _moved(self, frame: int) -> float:
        """Pixels since the frame before."""
        if self._pixels is None or frame == 0:
            return 0.0
        step = self._pixels[frame].astype(np.float64) - self._pixels[frame - 1]
        return float(np.linalg.norm(step, axis=-1).mean())

    def _landmarks_inside(self) -> None:
        if self._pixels is None:
            return
        size = self._shape.width, self._shape.height
        inside = ((self._pixels >= 0) & (self._pixels < size)).all(axis=-1).mean(axis=-1)
        frames = np.flatnonzero(inside < INSIDE)
        if len(frames):
            seen = f"{inside.min():.2g} in {listed(frames.tolist())}"
            self._add("head-out-of-frame", self._name, f"{INSIDE:g} of the landmarks in the picture", seen)

    def _note(self, kind: str, frame: int, value: float, bad: bool) -> None:
        if bad:
            self._worst.setdefault(kind, []).append((frame, value))

    def _tell(self, kind: str, check: str, member: str, expected: str) -> None:
        if kind in self._worst:
            frames = [frame for frame, _ in self._worst[kind]]
            self._add(check, member, expected, f"{self._worst[kind][0][1]:.3g} in {listed(frames)}")


def _near(mask: Array, pixels: Array) -> Array:
    """bool [N]: whether the mask [H, W] is set at the pixels [N, 2], or beside them."""
    height, width = mask.shape
    column, row = (np.floor(np.clip(pixels, -1, max(mask.shape))).astype(int)).T
    near = np.zeros(len(pixels), bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near |= mask[np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)]
    return near


def listed(frames: Sequence[int], most: int = 8) -> str:
    """``frames 3, 4, 5`` of what may be many."""
    shown = ", ".join(map(str, frames[:most]))
    more = f" and {len(frames) - most} more" if len(frames) > most else ""
    return f"frame{'s' if len(frames) > 1 else ''} {shown}{more}"
