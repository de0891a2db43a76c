"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manifests.reader import CorpusReader
from manifests.report import thumbnails
from manifests.report.html import Html, join, tag
from manifests.report.parts import note, plural
from manifests.report.tally import Picked, Tally
from manifests.report.thumbnails import Thumbnail, UnreadableError
from manifests.text import shown


class Gallery:
    """The pictures of a report; clips that cannot be shown are left out and named."""

    def __init__(self, reader: CorpusReader, tally: Tally) -> None:
        self._reader, self._tally = reader, tally

    def sheet(self) -> Html:
        """Clips from all over the corpus, four moments of each."""
        shown_clips, problems = self._draw(self._tally.sheet, thumbnails.strip)
        figures = [
            tag("figure", _image(picture, picked.key), tag("figcaption", tag("code", picked.key), " ", _about(picked)))
            for picked, picture in shown_clips
        ]
        told = f"{plural(len(figures), 'clip')}, evenly spread over the corpus; moments of their first two views."
        return join([note(told) if figures else "", _problems(problems), tag("div", *figures, class_="sheet")])

    def montage(self) -> Html:
        """A table of pictures: recipes down, templates across."""
        cells = self._tally.montage
        recipes, templates = (sorted({cell[i] for cell in cells}) for i in (0, 1))
        drawn, problems = self._draw(list(cells.values()), thumbnails.still)
        pictures = {picked.key: picture for picked, picture in drawn}
        rows = [tag("tr", tag("th", ""), *(tag("th", name, scope="col") for name in templates))]
        for recipe in recipes:
            row = [tag("th", recipe, scope="row")]
            for template in templates:
                picked = cells.get((recipe, template))
                picture = pictures.get(picked.key) if picked else None
                blank = tag("div", "—", class_="blank") if drawn else Html("")
                image = _image(picture, f"{recipe}, {template}") if picture else blank
                count = plural(self._tally.cells[recipe, template], "clip")
                row.append(tag("td", image, tag("small", count)))
            rows.append(tag("tr", *row))
        return join([_problems(problems), tag("div", tag("table", *rows, class_="montage"), class_="wide")])

    def _draw(
        self, clips: Sequence[Picked], draw: Callable[[CorpusReader, Picked], Thumbnail]
    ) -> tuple[list[tuple[Picked, Thumbnail]], list[str]]:
        drawn, problems = [], []
        for picked in clips:
            try:
                drawn.append((picked, draw(self._reader, picked)))
            except UnreadableError as error:
                problems.append(str(error))
        return drawn, problems


def _about(picked: Picked) -> str:
    row = picked.row
    parts = [row["recipe"], row["template"], f"identity {row['identity']}", row["split"]]
    return " · ".join(shown(part) for part in parts if part is not None)


def _image(picture: Thumbnail, described: str) -> Html:
    return tag("img", src=picture.uri, width=picture.width, height=picture.height, alt=described, loading="lazy")


def _problems(problems: Sequence[str]) -> Html:
    if not problems:
        return Html("")
    return note(f"{plural(len(problems), 'clip')} cannot be shown: {problems[0]}", "warning")
