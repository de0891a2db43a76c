"""The page's server: what it answers to whom, and what it refuses."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from manifests.browse import Server
from manifests.errors import UserError
from tests.manifests.browse.asking import ask, refused, told


def test_the_page_and_its_files_are_there_under_a_strict_policy(url: str) -> None:
    status, body = ask(url, "/")
    assert status == 200
    assert b"/app.js" in body
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/app.js")
    response = connection.getresponse()
    assert "javascript" in response.headers["Content-Type"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/corpus.json",
        "/../corpus.json",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2fserver.py",
        "/page/../server.py",
        "//etc/passwd",
        "/index.html/../../server.py",
        "/api/../../server.py",
        "/app.js/",
        "/app.js%00.html",
        "file:///etc/passwd",
        "/api/nothing",
        "/__init__.py",
    ],
)
def test_no_path_reaches_a_file(url: str, path: str) -> None:
    status, body = ask(url, path)
    assert status == 404
    assert "no such page" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "tiny-000000009", "", "' OR 1=1 --", "tiny-00000000"]
)
def test_keys_are_looked_up_and_nothing_else(url: str, key: str) -> None:
    for path in ("/api/clip", "/api/thumbnail", "/api/cameras", "/api/points"):
        assert "not in the manifest" in refused(url, path, 404, key=key)
    assert refused(url, "/api/clip", 404, key="tiny-000000000", source=1)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_is_answered(url: str, method: str) -> None:
    status, body = ask(url, "/api/corpus", method)
    assert status == 405
    assert "GET" in json.loads(body)["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost", "127.0.0.1:1", ""])
def test_other_names_for_this_machine_are_refused(url: str, host: str) -> None:
    for path in ("/", "/api/corpus"):
        assert ask(url, path, headers={"Host": host})[0] == 403


def test_pages_of_other_sites_are_refused(url: str) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert ask(url, "/api/corpus", headers={"Sec-Fetch-Site": site})[0] == status
    port = urlsplit(url).port
    assert ask(url, "/api/corpus", headers={"Host": f"localhost:{port}"})[0] == 200


def test_it_listens_on_this_machine_alone(url: str) -> None:
    assert urlsplit(url).hostname == "127.0.0.1"


def test_a_place_without_a_corpus_and_a_taken_port_are_said(copy: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="no corpus"):
        Server(str(tmp_path))
    taken = urlsplit(url).port
    assert taken is not None
    with pytest.raises(UserError, match=f"port {taken}"):
        Server(str(copy), port=taken)
    with pytest.raises(UserError, match="port 99999"):
        Server(str(copy), port=99999)


def test_serve_answers_until_interrupted(copy: Path) -> None:
    script = (
        "import sys; from manifests.browse import serve; "
        "serve(sys.argv[1], open_browser=False, ready=lambda url: print(url, flush=True))"
    )
    command = [sys.executable, "-c", script, str(copy)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert told(url, "/api/corpus")["names"] == ["tiny"]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")
