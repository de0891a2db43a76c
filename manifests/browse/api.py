"""What the page asks of the server: a table of paths, each with the function that answers it."""

from __future__ import annotations

import json
import logging
import math
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.audit.probe import MeshProbe
from manifests.browse.clips import MAX_SPEC_LETTERS, MESH_WINDOW_FRAMES, Clip, ClipReader, make_clip
from manifests.browse.filters import COLUMNS, OPERATORS, WITHOUT_VALUE, parse_conditions
from manifests.browse.layers import COLOUR, class_colours
from manifests.browse.listing import PAGE_ROWS, Listing
from manifests.errors import UserError
from manifests.reader import CorpusReader

JSON, BINARY, JPEG = "application/json", "application/octet-stream", "image/jpeg"
MAX_MESSAGE_LETTERS: Final = 600
AT_ONCE: Final = 2
"""Questions that may decode at the same time; each may need some hundred MB."""

_CLIPS_KEPT: Final = 256

Parameters = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    content_type: str
    body: bytes


class Api:
    """Answers for one corpus or view. Threads share it."""

    def __init__(self, out: str, mesh: MeshProbe | None) -> None:
        """Raises UserError if there is no corpus."""
        self._out = out
        self._reader = CorpusReader(out)
        self._listing = Listing(self._reader)
        self._clip_reader = ClipReader(self._reader, mesh)
        self._clips: dict[tuple[int, str], Clip] = {}
        self._keeping = threading.Lock()
        self._decoding = threading.BoundedSemaphore(AT_ONCE)
        self._paths: dict[str, Callable[[Parameters], Answer]] = {
            "/api/corpus": self._corpus,
            "/api/clips": self._page,
            "/api/values": self._values,
            "/api/clip": self._clip,
            "/api/thumbnail": self._thumbnail,
            "/api/frames": self._frames,
            "/api/cameras": self._cameras,
            "/api/landmarks": self._landmarks,
            "/api/points": self._points,
            "/api/mesh": self._mesh,
        }

    def answer(self, path: str, parameters: Parameters) -> Answer:
        """Never raises: what is wrong goes back as JSON ``{"error": ...}``, to be read by a person."""
        if path not in self._paths:
            return problem(404, f"{path[:100]}: no such page")
        try:
            return self._paths[path](parameters)
        except _NotThereError as error:
            return problem(404, str(error))
        except UserError as error:
            return problem(400, str(error))
        except Exception as error:  # a damaged corpus must not take the page down
            logging.getLogger(__name__).exception("browse: %s", path)
            return problem(500, f"{path}: {type(error).__name__}: {error}; audit the corpus")

    def _corpus(self, _: Parameters) -> Answer:
        columns = [
            {"name": name, "kind": kind, "operators": list(OPERATORS[kind])}
            for name, kind in COLUMNS.items()
            if name != "source" or self._reader.is_view
        ]
        names = [source.corpus.name for source in self._reader.sources[:100]]
        return _json(
            {
                "url": self._reader.url,
                "names": names,
                "columns": columns,
                "without_value": sorted(WITHOUT_VALUE),
                "classes": class_colours(),
            }
        )

    def _page(self, parameters: Parameters) -> Answer:
        page = self._listing.page(
            parse_conditions(parameters.get("where", "")),
            parameters.get("sort", ""),
            parameters.get("descending") == "1",
            _whole(parameters, "page", 0),
        )
        first = page.number * PAGE_ROWS
        return _json({**asdict(page), "pages": page.pages, "first": first})

    def _values(self, parameters: Parameters) -> Answer:
        return _json([asdict(item) for item in self._listing.values(parameters.get("column", ""))])

    def _clip(self, parameters: Parameters) -> Answer:
        clip = self._opened(parameters, again=True)
        try:
            with self._decoding:
                spec = json.dumps(self._clip_reader.spec(clip), indent=2, ensure_ascii=False)[:MAX_SPEC_LETTERS]
        except UserError as error:
            spec = str(error)
        members = clip.row["members"]
        return _json(
            {
                "row": {name: value for name, value in clip.row.items() if name != "members"},
                "members": [{"name": _text(member, "name"), "size": (member or {}).get("size")} for member in members],
                "views": [{"number": view.number, "layers": list(view.layers)} for view in clip.views],
                "colour": COLOUR,
                "frames": clip.frames,
                "fps": clip.fps,
                "window": clip.window,
                "mesh_window": MESH_WINDOW_FRAMES,
                "spec": spec,
                "replay": f"factorportrait replay {shlex.quote(self._out)} {shlex.quote(clip.key)}",
            }
        )

    def _thumbnail(self, parameters: Parameters) -> Answer:
        clip = self._opened(parameters)
        with self._decoding:
            return Answer(200, JPEG, self._clip_reader.thumbnail(clip))

    def _frames(self, parameters: Parameters) -> Answer:
        """uint32 number of pictures, uint32 bytes of each, then the pictures."""
        clip = self._opened(parameters)
        view, start = _whole(parameters, "view"), _whole(parameters, "start")
        with self._decoding:
            pictures = self._clip_reader.frames(clip, view, parameters.get("layer", ""), start)
        sizes = np.array([len(pictures), *map(len, pictures)], "<u4")
        return Answer(200, BINARY, b"".join([sizes.tobytes(), *pictures]))

    def _cameras(self, parameters: Parameters) -> Answer:
        return self._floats(self._clip_reader.cameras, parameters)

    def _landmarks(self, parameters: Parameters) -> Answer:
        return self._floats(self._clip_reader.landmarks, parameters)

    def _points(self, parameters: Parameters) -> Answer:
        return self._floats(self._clip_reader.points, parameters)

    def _mesh(self, parameters: Parameters) -> Answer:
        """uint32 numbers of frames, vertices and faces; the faces as uint32, then the vertices as float32."""
        clip = self._opened(parameters)
        with self._decoding:
            vertices, faces = self._clip_reader.mesh(clip, _whole(parameters, "start"))
        head = np.array([vertices.shape[0], vertices.shape[1], len(faces)], "<u4")
        return Answer(200, BINARY, b"".join([head.tobytes(), faces.astype("<u4").tobytes(), _little(vertices)]))

    def _floats(self, read: Callable[[Clip], NDArray[Any]], parameters: Parameters) -> Answer:
        clip = self._opened(parameters)
        with self._decoding:
            return Answer(200, BINARY, _little(read(clip)))

    def _opened(self, parameters: Parameters, again: bool = False) -> Clip:
        """The clip that is asked for; its row is looked up in the manifest, `again` even if it is known."""
        source, key = _whole(parameters, "source", 0), parameters.get("key", "")
        clip = None if again else self._clips.get((source, key))
        if clip is None:
            row = self._listing.row(source, key)
            if row is None:
                raise _NotThereError(f"clip {key[:100]!r}: not in the manifest of {self._reader.url}")
            clip = make_clip(row)
            with self._keeping:
                self._clips[source, key] = clip
                while len(self._clips) > _CLIPS_KEPT:
                    del self._clips[next(iter(self._clips))]
        return clip


class _NotThereError(UserError):
    pass


def problem(status: int, message: str) -> Answer:
    """An error that the page shows."""
    return _json({"error": " ".join(message.split())[:MAX_MESSAGE_LETTERS]}, status)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, JSON, json.dumps(_finite(value), allow_nan=False).encode("utf-8", "replace"))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; they are shown as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return value


def _whole(parameters: Parameters, name: str, default: int | None = None) -> int:
    text = parameters.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise UserError(f"{name} = {text[:40]!r}: must be a whole number")
    return int(text)


def _text(member: Mapping[str, Any] | None, name: str) -> str:
    return str((member or {}).get(name))[:200]


def _little(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()
