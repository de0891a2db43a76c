"""The page in a real browser: what is uploaded, chosen and dragged comes back as a video; what is wrong is said."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from factorportrait import main
from manifests.errors import UserError
from tests.browser import WAIT_S, one, until
from tests.conftest import Generated
from training.app.page import make_page
from training.app.server import HOST, launch, serve
from training.app.studio import Studio
from training.data.clips import Clips
from training.landmarks.load import load_detector
from training.pipeline import PortraitPipeline
from training.video_file import save_video

_LOOK, _ANIMATE = 1, 4
"""Places among the page's functions."""


@pytest.fixture(scope="module")
def studio(animated: Path, corpus: Generated, learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    model = PortraitPipeline.from_pretrained(animated).model
    sampler = dataclasses.replace(model.sampler, steps=1)
    quick = dataclasses.replace(model.with_detector(load_detector(learnt)), sampler=sampler)
    return Studio(PortraitPipeline(quick), str(corpus.out), "test", str(tmp_path_factory.mktemp("videos")))


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    page, url = launch(studio)
    yield url
    page.close(verbose=False)


@pytest.fixture
def opened(browser: webdriver.Chrome, address: str) -> webdriver.Chrome:
    browser.get_log("browser")
    browser.get(address)
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#mesh img"))
    until(browser, lambda: source(browser, "#portrait img"))  # of the clip that is chosen already
    return browser


def picture_of(studio: Studio) -> bytes:
    """A clip's first frame as a PNG."""
    (window,) = Clips(str(studio.corpus)).windows(0, [(0, range(1))], members=("rgb",))
    assert window.rgb is not None
    Image.fromarray(window.rgb[0]).save(file := io.BytesIO(), "png")
    return file.getvalue()


def source(browser: webdriver.Chrome, selector: str) -> str | None:
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return found[0].get_attribute("src") if found else None


def upload(browser: webdriver.Chrome, nth: int, path: Path) -> None:
    browser.find_elements(By.CSS_SELECTOR, "input[type=file]")[nth].send_keys(str(path))


def sent(address: str, name: str, content: bytes, **headers: str) -> tuple[int, str]:
    """Status and answer of an upload without the page."""
    edge = "edge-of-parts"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    headers["Content-Type"] = f"multipart/form-data; boundary={edge}"
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{address}gradio_api/upload", body, headers)) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def join(address: str, fn_index: int, *data: Any) -> urllib.request.Request:
    """Ask as the page asks, without the page. Where the answers come from."""
    asked = json.dumps({"data": data, "fn_index": fn_index, "session_hash": "stranger"}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}gradio_api/queue/join", asked, headers)) as answer:
        assert answer.status == 200
    return urllib.request.Request(f"{address}gradio_api/queue/data?session_hash=stranger")


def messages(answers: urllib.request.Request) -> Iterator[dict[str, Any]]:
    with urllib.request.urlopen(answers) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def toasts(browser: webdriver.Chrome) -> str:
    found = browser.find_elements(By.CSS_SELECTOR, ".toast-body")
    return " ".join(str(each.get_attribute("textContent")) for each in found)


def test_drag_and_see_the_video(opened: webdriver.Chrome) -> None:
    before = source(opened, "#mesh img")
    pad = one(opened, "#camera .pad")
    ActionChains(opened).click_and_hold(pad).move_by_offset(60, -20).release().perform()
    until(opened, lambda: source(opened, "#mesh img") != before)
    said = one(opened, "#camera output").text
    assert "yaw 0" not in said
    turned = source(opened, "#mesh img")
    opened.execute_script("document.querySelector('#camera [role=application], #camera[role=application]').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_LEFT).perform()
    until(opened, lambda: one(opened, "#camera output").text != said)
    until(opened, lambda: source(opened, "#mesh img") != turned)
    one(opened, "#animate").click()
    until(opened, lambda: source(opened, "#video video"))
    until(opened, lambda: opened.execute_script("return document.querySelector('#video video').videoWidth") >= 200)
    errors = [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors


def test_a_picture_and_a_video_that_are_uploaded(opened: webdriver.Chrome, corpus: Generated, tmp_path: Path) -> None:
    clips = Clips(str(corpus.out))
    (window,) = clips.windows(0, [(0, range(1))], members=("rgb",))
    assert window.rgb is not None
    Image.fromarray(np.pad(window.rgb[0], ((10, 30), (40, 20), (0, 0)))).save(tmp_path / "me.png")
    before = source(opened, "#portrait img")
    upload(opened, 0, tmp_path / "me.png")
    until(opened, lambda: source(opened, "#portrait img") not in (None, before))
    save_video(tmp_path / "driver.mp4", np.repeat(window.rgb, 4, axis=0), 10)
    upload(opened, 0, tmp_path / "driver.mp4")  # the portrait's own place shows the picture now
    until(opened, lambda: not opened.find_elements(By.CSS_SELECTOR, "input[type=file]"))
    one(opened, "#animate").click()
    until(opened, lambda: source(opened, "#video video") or toasts(opened))
    assert not toasts(opened)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("me.png", b"no picture", "portrait me.png: cannot be read as a picture"),
        ("me.txt", b"text", "Invalid file type"),
    ],
)
def test_what_is_wrong_with_an_upload_is_said(
    opened: webdriver.Chrome, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    upload(opened, 0, tmp_path / name)
    until(opened, lambda: said in toasts(opened))
    assert str(tmp_path) not in toasts(opened)


def test_the_server_limits_what_is_uploaded_and_loads_from_nowhere_else(address: str, studio: Studio) -> None:
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in policy
    _, options = make_page(studio)
    assert options["max_file_size"] == 64 * 2**20
    too_large, html = b"0" * (65 * 2**20), b"<script>1</script>"
    assert sent(address, "me.png", html, Origin="http://elsewhere.example")[0] == 403  # another page, in this browser
    assert sent(address, "me.png", html, Origin=address.rstrip("/"))[0] == 200
    assert sent(address, "me.png", too_large)[0] == 413
    elsewhere = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:  # a name that another page has bound to this machine
        urllib.request.urlopen(elsewhere)
    assert refused.value.code == 400
    for path in ("docs", "openapi.json", "gradio_api/file=/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{address}{path}")
        assert error.value.code in (403, 404)


def test_only_what_was_uploaded_is_read(address: str, studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(picture_of(studio))
    _, uploaded = sent(address, "me.png", picture_of(studio))
    (path,) = json.loads(uploaded)
    elsewhere = ["https://elsewhere.example/me.png", "/etc/passwd", str(tmp_path / "there.png"), studio.clips[0]]
    for given, reads in [(path, True), *((place, False) for place in elsewhere)]:
        answers = join(address, _LOOK, {"path": given, "meta": {"_type": "gradio.FileData"}}, None)
        (done,) = (message for message in messages(answers) if message["msg"] == "process_completed")
        assert done["success"] == reads, given


def test_it_ends_amid_a_video_and_leaves_nothing(animated: Path, corpus: Generated, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "factorportrait", "app", "--checkpoint", str(animated), "--no-open"]
    command += ["--corpus", str(corpus.out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    assert HOST in address
    answers = messages(join(address, _ANIMATE, None, 0, None, 1, {"yaw_deg": 0, "pitch_deg": 0}, "hold", 240, 0))
    for _ in range(8):  # well into it
        next(message for message in answers if message["msg"] == "progress")
    assert any(path.name.startswith("factorportrait-app-") for path in tmp_path.iterdir())
    process.terminate()
    assert not any(message.get("success") for message in answers)
    assert process.wait(WAIT_S) == 0
    assert not any(path.name.startswith("factorportrait-app-") for path in tmp_path.iterdir())


def test_a_port_that_is_taken(studio: Studio) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(UserError, match="cannot be listened on"):
            serve(studio, port=taken.getsockname()[1], open_browser=False)


def test_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--checkpoint", str(tmp_path), "--no-open"]) == 2
    assert "no model" in capsys.readouterr().err
