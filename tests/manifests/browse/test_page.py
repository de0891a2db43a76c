"""The page in a real browser: Debian's chromium, without a window."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from manifests.browse import Server
from tests.browser import one, until
from tests.conftest import Generated
from tests.manifests.browse.rows import first_rows, put_first_rows


def tiles(browser: webdriver.Chrome) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, "a.tile")


def pixels(browser: webdriver.Chrome, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0]).toDataURL()", selector))


def colours(browser: webdriver.Chrome, selector: str) -> int:
    """How many different colours a canvas shows."""
    script = """
        const canvas = document.querySelector(arguments[0]);
        const flat = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        flat.drawImage(canvas, 0, 0);
        return new Set(new Uint32Array(flat.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
    """
    return int(browser.execute_script(script, selector))


def changed_pixels(browser: webdriver.Chrome, selector: str, before: str) -> int:
    """How many pixels of a canvas differ from an earlier picture of it."""

    def picture(url: str) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")

    difference = np.asarray(ImageChops.difference(picture(pixels(browser, selector)), picture(before)))
    return int(difference.any(axis=-1).sum())


def open_clip(browser: webdriver.Chrome, url: str, key: str) -> None:
    browser.get("about:blank")
    browser.get(f"{url}#clip={key}&source=0")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#views canvas"))
    until(browser, lambda: colours(browser, "#views canvas") > 50)


def frame(browser: webdriver.Chrome) -> int:
    return int(one(browser, "#frame").text.split("/")[0])


def test_filter_narrows_the_listing(browser: webdriver.Chrome, url: str) -> None:
    browser.get(url)
    until(browser, lambda: len(tiles(browser)) == 4)
    picture = "return [...document.querySelectorAll('img.thumbnail')].every((image) => image.naturalWidth > 0)"
    until(browser, lambda: browser.execute_script(picture))
    Select(one(browser, ".filter .column")).select_by_value("recipe")
    one(browser, ".filter .value").send_keys("phone", Keys.ENTER)
    until(browser, lambda: len(tiles(browser)) == 1)
    assert "phone" in tiles(browser)[0].text
    assert "1 clips" in one(browser, "#count").text
    one(browser, "#layout").click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "tbody tr"))
    assert len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1
    browser.back()
    browser.back()
    until(browser, lambda: len(tiles(browser)) == 4)


def test_a_click_opens_a_clip_and_it_plays(browser: webdriver.Chrome, url: str, corpus: Generated) -> None:
    browser.get("about:blank")
    browser.get(url)
    until(browser, lambda: len(tiles(browser)) == 4)
    tiles(browser)[0].click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#views canvas"))
    assert len(browser.find_elements(By.CSS_SELECTOR, "#views canvas")) == 2
    until(browser, lambda: colours(browser, "#views canvas") > 50)
    assert corpus.rows()[0]["key"] in one(browser, "h1").text
    assert frame(browser) == 1
    first = pixels(browser, "#views canvas")
    one(browser, "#play").click()
    seen: set[int] = set()
    until(browser, lambda: seen.add(frame(browser)) or len(seen) >= 3)
    one(browser, "#play").click()
    one(browser, "#scrub").send_keys(Keys.END)
    until(browser, lambda: frame(browser) == 5)
    until(browser, lambda: pixels(browser, "#views canvas") != first)
    one(browser, "#scrub").send_keys(Keys.HOME)
    until(browser, lambda: pixels(browser, "#views canvas") == first)


def test_overlays_change_the_pictures(browser: webdriver.Chrome, url: str) -> None:
    open_clip(browser, url, "tiny-000000000")
    plain = pixels(browser, "#views canvas")
    seen = {plain}
    for layer in ("alpha", "segmentation", "pose_normals", "normals", "depth", "uv", "flow"):
        one(browser, f"[data-layer={layer}]").click()
        until(browser, lambda: pixels(browser, "#views canvas") not in seen)
        seen.add(pixels(browser, "#views canvas"))
    browser.execute_script(
        "const o = document.getElementById('opacity'); o.value = 5; o.dispatchEvent(new Event('input'))"
    )
    until(browser, lambda: pixels(browser, "#views canvas") not in seen)
    one(browser, "[data-layer='']").click()
    until(browser, lambda: pixels(browser, "#views canvas") == plain)
    one(browser, "#landmarks").click()
    until(browser, lambda: pixels(browser, "#views canvas") != plain)
    assert not browser.find_elements(By.CSS_SELECTOR, ".view-problem:not([hidden])")


def test_cameras_and_mesh_are_seen_in_3d_and_turn(browser: webdriver.Chrome, url: str, corpus: Generated) -> None:
    """Without the head's mesh there are cameras, pictures and points alone; the mesh covers thousands of pixels."""
    with Server(str(corpus.out)) as server:
        open_clip(browser, server.url, "tiny-000000000")
        until(browser, lambda: "no head model" in one(browser, ".scene-message").text)
        until(browser, lambda: colours(browser, "#scene") > 100)
        bare = pixels(browser, "#scene")
    open_clip(browser, url, "tiny-000000000")
    until(browser, lambda: changed_pixels(browser, "#scene", bare) > 3000)
    assert one(browser, ".scene-message").text == ""
    before = pixels(browser, "#scene")
    drag = webdriver.ActionChains(browser).click_and_hold(one(browser, "#scene"))
    drag.move_by_offset(80, 20).release().perform()
    until(browser, lambda: changed_pixels(browser, "#scene", before) > 3000)


def test_the_replay_command_is_copied(browser: webdriver.Chrome, url: str, corpus: Generated) -> None:
    open_clip(browser, url, "tiny-000000001")
    command = f"factorportrait replay {corpus.out} tiny-000000001"
    assert one(browser, "#replay").get_attribute("value") == command
    one(browser, "#copy").click()
    until(browser, lambda: one(browser, "#copy").text == "Copied")
    one(browser, "#back").click()
    until(browser, lambda: tiles(browser))
    place = one(browser, ".filter .value")
    place.click()
    place.send_keys(Keys.CONTROL, "v")
    assert place.get_attribute("value") == command


def test_what_a_stranger_wrote_is_only_text(browser: webdriver.Chrome, corpus: Generated, tmp_path: Path) -> None:
    """Markup in every text of a row, and a key that is none; damage is told on the page."""
    out = tmp_path / "out"
    shutil.copytree(corpus.out, out)
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    rows = first_rows(out)
    texts = [name for name, value in rows[0].items() if isinstance(value, str) and name != "status"]
    rows[0] |= dict.fromkeys(texts, evil) | {"labels": [evil]}
    put_first_rows(out, rows)
    (out / "shards" / "tiny-000000.tar").write_bytes(b"\0" * 4096)
    with Server(str(out)) as server:
        browser.get(server.url)
        until(browser, lambda: len(tiles(browser)) == 4)
        assert evil in tiles(browser)[0].text
        one(browser, "#layout").click()
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "tbody tr"))
        browser.find_element(By.CSS_SELECTOR, "tbody a").click()
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".view-problem:not([hidden])"))
        assert "put back a good copy" in one(browser, ".view-problem:not([hidden])").text
        assert evil in one(browser, "#row").text
        assert not browser.find_elements(By.CSS_SELECTOR, "main img, main script")
        assert browser.title != "taken"
        browser.get("about:blank")
        browser.get(f"{server.url}#clip=nothing")
        assert "not in the manifest" in until(browser, lambda: one(browser, "#clip .problem").text)


def test_the_browser_finds_nothing_to_complain_of(browser: webdriver.Chrome, url: str) -> None:
    browser.get_log("browser")
    browser.get("about:blank")
    browser.get(url)
    until(browser, lambda: len(tiles(browser)) == 4)
    open_clip(browser, url, "tiny-000000002")
    until(browser, lambda: colours(browser, "#scene") > 200)
    told = [entry for entry in browser.get_log("browser") if "GPU stall" not in entry["message"]]
    assert told == []
