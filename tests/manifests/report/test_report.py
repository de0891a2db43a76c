"""The page: whole, self-contained, the same for equal corpora, and safe whatever the corpus says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from manifests.audit.report import AuditReport, Findings
from manifests.errors import UserError
from manifests.layout import Layout
from manifests.reader import CorpusReader, write_view
from manifests.report import write_report
from manifests.report.tally import take
from manifests.report.thumbnails import TILES, UnreadableError, head_licence, still, strip
from manifests.storage import Storage
from tests.conftest import Generated
from tests.manifests.rows import CLIPS_PER_SHARD, clip, given_up, write_rows_corpus

EVIL = "</pre><script>alert(1)</script><img src=https://example.org/x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check_closed(self) -> None:
        """Fail if anything in it runs, or comes from or goes anywhere else."""
        names = {name for name, _ in self.elements}
        assert not names & {"script", "iframe", "object", "embed", "form", "base", "link", "foreignobject", "use"}
        for _, attributes in self.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("src", "href", "action", "xlink:href", "srcset", "data"):
                assert re.match(r"data:image/webp;base64,|#[a-z]+$", attributes.get(name) or "#none")


def report(out: Path | str, audit: AuditReport | None = None) -> tuple[str, Page]:
    write_report(str(out), "memory://report/page.html", audit)
    text = Storage("memory://report").read("page.html").decode()
    return text, Page(text)


@pytest.fixture(scope="module")
def made(corpus: Generated) -> tuple[str, Page]:
    return report(corpus.out)


def test_every_section_is_there(made: tuple[str, Page]) -> None:
    sections = [attributes["id"] for attributes in made[1].all("section")]
    assert sections == [
        "clips", "montage", "parameters", "counts", "throughput", "findings", "sizes", "provenance", "licences",
    ]  # fmt: skip
    links = [str(attributes["href"]) for attributes in made[1].all("a")]
    assert {f"#{name}" for name in sections} == set(links)


def test_pictures_of_clips_recipes_and_labels_are_in_it(made: tuple[str, Page], corpus: Generated) -> None:
    rows = corpus.rows()
    descriptions = [attributes["alt"] for attributes in made[1].all("img")]
    assert descriptions[: len(rows)] == [row["key"] for row in rows]
    assert set(descriptions[len(rows) :]) == {f"{row['recipe']}, {row['template']}" for row in rows}
    assert len(made[1].all("svg")) == 11 + 4 + 7 + 2 + 2


def test_numbers_are_those_of_the_rows(made: tuple[str, Page], corpus: Generated) -> None:
    values = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", made[0]))
    assert (values["Clips"], values["Frames"], values["Pictures"], values["Identities"]) == ("4", "20", "40", "2")
    assert values["Quarantined"] == "0"
    for text in ("CC0", json.loads((corpus.out / "corpus.json").read_text())["config_hash"], "non-commercial"):
        assert text in made[0]


def test_nothing_runs_and_nothing_is_fetched(made: tuple[str, Page]) -> None:
    text, page = made
    page.check_closed()
    assert "http://" not in text
    assert "https://" not in text
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


def test_equal_corpora_give_equal_files(made: tuple[str, Page], corpus: Generated, tmp_path: Path) -> None:
    shutil.copytree(corpus.out, tmp_path / "copy")
    assert report(tmp_path / "copy")[0] == made[0]
    write_report(str(corpus.out), str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == made[0]


def test_shards_that_are_not_there_are_said_so(corpus: Generated, tmp_path: Path) -> None:
    shutil.copytree(corpus.out, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/shards")
    text, page = report(tmp_path / "copy")
    assert not page.all("img")
    assert "4 clips cannot be shown: shards/tiny-000000.tar is missing" in text
    assert "not known here: shards/tiny-000000.tar is missing" in text
    assert str(tmp_path) not in text


def test_a_strip_shows_moments_of_two_views(corpus: Generated) -> None:
    reader = CorpusReader(str(corpus.out))
    picked = take(reader).sheet[0]
    assert (strip(reader, picked).width, strip(reader, picked).height) == (80 * TILES, 64)
    assert (still(reader, picked).width, still(reader, picked).height) == (80, 64)
    assert head_licence(reader, picked).startswith("CC0")


@pytest.mark.parametrize(
    "change",
    [
        {"members": None},
        {"members": [None]},
        {"members": [{"name": "v00.rgb.mp4", "offset": 0, "size": 1 << 40}]},
        {"members": [{"name": "v00.rgb.mp4", "offset": None, "size": None}]},
        {"members": [{"name": "v00.rgb.mp4", "offset": 0, "size": 4096}]},
        {"members": [{"name": "../../v00.rgb.mp4", "offset": 0, "size": 4096}]},
        {"shard": None},
        {"shard": 77},
        {"frames": 1 << 30},
        {"frames": None, "members": [{"name": "v00.rgb.mp4", "offset": 0, "size": 0}]},
    ],
)
def test_a_clip_that_cannot_be_shown_says_why(corpus: Generated, change: dict[str, Any]) -> None:
    reader = CorpusReader(str(corpus.out))
    picked = take(reader).sheet[0]
    picked.row.update(change)
    with pytest.raises(UnreadableError):
        strip(reader, picked)


def test_text_from_a_corpus_is_only_text() -> None:
    layout = Layout("toy", 8, CLIPS_PER_SHARD)
    texts = dict.fromkeys(("recipe", "template", "hair_style", "trajectory", "background", "split", "head"), EVIL)
    rows = {i: clip(layout, i, head_sha256=EVIL, **texts) for i in range(7)}
    rows[3]["members"] = [{"name": f"v00.{EVIL}.mp4", "offset": 0, "size": 1, "sha256": EVIL}]
    rows[7] = {**given_up(layout, 7), "error": EVIL}
    look = {"look": {"world": {"maps": [EVIL]}}, "weight": 1}
    config = {"seed": EVIL, "head": EVIL, "recipes": {EVIL: 1}, "templates": {EVIL: look}, EVIL: [EVIL]}
    storage = write_rows_corpus("memory://evil", 8, change=rows, config=config, software={EVIL: EVIL}, config_hash=EVIL)
    run = {"started": 0, "updated": 9, "state": EVIL, "workers": 1, "quarantined": 0, "failures": 0}
    storage.write("log/run-0000.json", json.dumps({**run, "history": [[0, 0], [9, 7]]}).encode())
    found = Findings()
    found.add("frames-black", EVIL, EVIL, EVIL, EVIL)
    audit = AuditReport("memory://evil", "full", 8, 2, 7, 0, dict(found.counts), found.all(), (EVIL,))
    text, page = report("memory://evil", audit)
    page.check_closed()
    assert EVIL not in text
    assert "".join(page.text).count("<script>alert(1)</script>") > 20


def test_findings_are_grouped_worst_first_and_the_rest_is_counted() -> None:
    storage = write_rows_corpus("memory://faults")
    found = Findings()
    found.add("clips-alike", "toy-000000001", "", "another clip", "the same as toy-000000002")
    for i in range(30):
        found.add("frames-black", f"toy-{i:09d}", "v00.rgb", "light", "0.1 of 255")
    audit = AuditReport(storage.url, "quick", 10, 3, 0, 0, {**found.counts, "frames-black": 5000}, found.all())
    text, _ = report(storage.url, audit)
    assert text.index("frames-black") < text.index("clips-alike")
    assert "5,000 errors, 1 warning<" in text
    assert "And 4,980 more" in text
    assert "the same as toy-000000002" in text


def test_a_view_names_its_sources() -> None:
    sources = [write_rows_corpus(f"memory://sources/{name}", 6, name).url for name in ("one", "two")]
    write_view(Storage("memory://sources/view"), sources)
    text, _ = report("memory://sources/view")
    assert "A view over 2 corpora" in text
    assert all(f"<td>{source}</td>" in text for source in sources)


def test_the_page_stays_small_whatever_the_configuration_holds() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    endless, heavy = [-1e308, 1e308], {"a": 1e308, "b": 1e308}
    camera = {"yaw_deg": endless, "pitch_deg": endless, "distance_m": [2, 1]}
    config = {"seed": "x" * 1_000_000, "deep": deep, "camera": camera, "recipes": heavy, "splits": {"train": -1}}
    software = {f"package{i}": "1" for i in range(1000)}
    storage = write_rows_corpus("memory://large", config=config, software=software)
    text, _ = report(storage.url)
    assert len(text) < 1_000_000
    assert not re.search(r'"-?(nan|inf)', text)


def test_a_corpus_that_has_no_clip_yet_has_a_report() -> None:
    storage = write_rows_corpus("memory://begun")
    for name in storage.names("manifest"):
        storage.delete(f"manifest/{name}")
    text, page = report(storage.url)
    page.check_closed()
    assert "10 still to come" in text


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ([], ""),
        ([1], "1 file of the manifest cannot be read, and nothing of it is in this report"),
        ([0, 1, 2], "No clip is shown: 3 files of the manifest cannot be read, and nothing of them is in this report"),
    ],
)
def test_a_manifest_that_cannot_be_read_whole_is_said_above_everything(damaged: list[int], said: str) -> None:
    storage = write_rows_corpus(f"memory://unread/{len(damaged)}")
    for part in damaged:
        storage.write(f"manifest/part-{part:06d}.parquet", b"PAR1 no more")
    text, page = report(storage.url)
    page.check_closed()
    assert ('class="aside error"' in text) == bool(damaged)
    if damaged:
        assert said in text
        assert f"manifest/part-{damaged[0]:06d}.parquet" in text
        assert text.index(said) < text.index("<dt>Clips</dt>")


def test_no_corpus_and_no_place_for_the_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus here"):
        write_report(str(tmp_path), str(tmp_path / "page.html"))
    (tmp_path / "file").write_text("")
    write_rows_corpus(str(tmp_path / "out"))
    with pytest.raises(UserError, match="is a file or lies below one"):
        write_report(str(tmp_path / "out"), str(tmp_path / "file/page.html"))


def test_pictures_decode(made: tuple[str, Page]) -> None:
    for attributes in made[1].all("img"):
        data = base64.b64decode(str(attributes["src"]).partition(",")[2])
        image = Image.open(io.BytesIO(data))
        assert image.format == "WEBP"
        assert (str(image.width), str(image.height)) == (attributes["width"], attributes["height"])
