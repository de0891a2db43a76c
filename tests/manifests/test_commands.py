"""What the README says of commands in general: which of them take a view, and where their functions are."""

from __future__ import annotations

import importlib
import inspect
import re
import urllib.request
from pathlib import Path

import pytest

import factorportrait
from manifests.browse import Server
from manifests.commands import ONE_CORPUS
from manifests.merge import merge
from manifests.replay import replay
from tests.conftest import Generated
from tests.manifests.test_replay import CLIP, Renderer

FUNCTIONS = {
    "status": "manifests.status.status",
    "audit": "manifests.audit.audit.audit",
    "report": "manifests.report.write_report",
    "browse": "manifests.browse.serve",
    "query": "manifests.query.query",
    "select": "manifests.select.select",
    "export": "manifests.export.export",
    "replay": "manifests.replay.replay",
    "merge": "manifests.merge.merge",
    "diff": "manifests.diff.diff",
    "reindex": "manifests.reindex.reindex",
}


@pytest.fixture
def view(corpus: Generated, tmp_path: Path) -> str:
    merge([str(corpus.out)], str(tmp_path / "view"))
    return str(tmp_path / "view")


def test_every_command_is_a_function(corpus: Generated) -> None:
    for place in FUNCTIONS.values():
        module, name = place.rsplit(".", 1)
        function = getattr(importlib.import_module(module), name)
        assert inspect.isfunction(function)
        assert function.__doc__


def test_the_readme_names_those_that_are_not_named_as_their_command() -> None:
    text = (Path(factorportrait.__file__).parent / "README.md").read_text()
    section = text[text.index("## Into a corpus") : text.index("## On a cluster")]
    assert set(re.findall(r"^factorportrait (\w+)", section, re.MULTILINE)) <= set(FUNCTIONS)
    for command, place in FUNCTIONS.items():
        if place.rsplit(".", 1)[1] != command:
            assert f"`{place}`" in section


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "{view}"],
        ["audit", "{view}", "--level", "full"],
        ["report", "{view}", "--html", "{tmp}/report.html"],
        ["query", "{view}", "SELECT source, key FROM clips"],
        ["select", "{view}", "--where", "true", "--to", "{tmp}/list.txt"],
        ["diff", "{view}", "{view}"],
    ],
    ids=lambda words: " ".join(words)[:25],
)
def test_these_take_a_view(view: str, tmp_path: Path, words: list[str]) -> None:
    words = [word.replace("{view}", view).replace("{tmp}", str(tmp_path)) for word in words]
    assert factorportrait.main(words) == 0


def test_so_do_replay_and_browse(view: str, corpus: Generated) -> None:
    assert replay(view, CLIP, Renderer(corpus.out)).same
    with Server(view) as server, urllib.request.urlopen(f"{server.url}api/clips") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["status", *ONE_CORPUS])
def test_these_do_not_and_say_so(view: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--to", str(tmp_path / "to")] if name == "export" else []
    assert factorportrait.main([name, view, *more]) == 2
    assert "is a view" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        factorportrait.main([name, "--help"])
    assert "or of a view" not in capsys.readouterr().out
