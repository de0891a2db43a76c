"""The page: upload a portrait, choose a driver, drag the camera, see the video."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from manifests.errors import UserError
from training.app.studio import KINDS, MOST_FRAMES, MOST_PITCH_DEG, MOST_YAW_DEG, PATHS, Studio

MOST_UPLOAD_MB: Final = 64


def make_page(studio: Studio) -> tuple[Any, dict[str, Any]]:
    """The page, and what is to be said at its launch."""
    gradio = _gradio()
    clips = [(name.rsplit(":", 1)[1], k) for k, name in enumerate(studio.clips)]
    with gradio.Blocks(title="factorportrait", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gradio.Markdown("# A portrait, animated\nWhat this makes is synthetic, and says so in its metadata.")
        with gradio.Row():
            with gradio.Column():
                picture = _uploaded(gradio, "Portrait: a picture", KINDS["portrait"])
                own = gradio.Dropdown(clips, label="or a clip's first frame", value=0 if clips else None)
                shown = gradio.Image(label="as the model sees it", interactive=False, buttons=[], elem_id="portrait")
            with gradio.Column():
                video = _uploaded(gradio, "Driver: a video or recording", KINDS["driver"])
                clip = gradio.Dropdown(clips, label="or a clip", value=min(1, len(clips) - 1) if clips else None)
                gradio.Markdown("Drag the camera:")
                pad = gradio.HTML(
                    {"yaw_deg": 0, "pitch_deg": 0}, html_template=_asset("camera_pad.html"),
                    css_template=_asset("camera_pad.css"), js_on_load=_asset("camera_pad.js"), most_yaw=MOST_YAW_DEG,
                    most_pitch=MOST_PITCH_DEG, elem_id="camera",
                )  # fmt: skip
                mesh = gradio.Image(
                    studio.preview(0, 0), label="what it sees", interactive=False, buttons=[], elem_id="mesh"
                )
                path = gradio.Radio([(words, name) for name, words in PATHS.items()], value="hold", label="Its path")
            with gradio.Column():
                frames = gradio.Slider(1, MOST_FRAMES, value=16, step=1, label="Frames")
                seed = gradio.Number(0, precision=0, label="Seed")
                button = gradio.Button("Animate", variant="primary", elem_id="animate")
                made = gradio.Video(label="Video", autoplay=True, loop=True, interactive=False, elem_id="video")
                beside = gradio.Video(label="beside what it was made from", interactive=False, loop=True)

        def look(upload: str | None, chosen: int | None) -> Any:
            return studio.portrait(studio.source("portrait", upload, chosen))

        def animate(
            upload: str | None, own: int | None, driver: str | None, clip: int | None, camera: dict[str, float],
            path: str, frames: int, seed: int, progress: Any = gradio.Progress(),  # noqa: B008 - how gradio asks for it
        ) -> tuple[str, str]:  # fmt: skip
            return studio.make(
                studio.source("portrait", upload, own), studio.source("driver", driver, clip), **_camera(camera),
                path=path, frames=int(frames), seed=int(seed or 0),
                progress=lambda done, total, words: progress((done, total), desc=words),
            )  # fmt: skip

        def turn(camera: dict[str, float]) -> Any:
            return studio.preview(**_camera(camera))

        said = functools.partial(_said, gradio)
        if clips:
            page.load(said(look), [picture, own], shown, show_progress="hidden", api_visibility="private")
        for event in (picture.change, own.change):
            event(said(look), [picture, own], shown, api_visibility="private")
        pad.input(said(turn), pad, mesh, show_progress="hidden", trigger_mode="always_last", api_visibility="private")
        button.click(
            said(animate), [picture, own, video, clip, pad, path, frames, seed], [made, beside],
            concurrency_limit=1, concurrency_id="model", api_visibility="private",
        )  # fmt: skip
    page.queue(max_size=16)
    return page, {
        "max_file_size": MOST_UPLOAD_MB * 2**20,
        "footer_links": [],
        "share": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "theme": gradio.themes.Default(font="system-ui", font_mono="monospace"),
    }


def _camera(value: Any) -> dict[str, float]:
    """Raises UserError for what the pad does not send."""
    try:
        return {name: float(value[name]) for name in ("yaw_deg", "pitch_deg")}
    except (KeyError, TypeError, ValueError):
        raise UserError("camera: has no yaw_deg and pitch_deg; drag it") from None


def _said(gradio: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose UserErrors are shown on the page, with uploads by their names alone."""

    @functools.wraps(function)
    def said(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except UserError as error:
            words = str(error)
            for upload in (a for a in arguments if isinstance(a, str) and os.sep in a):
                words = words.replace(upload, Path(upload).name)
            raise gradio.Error(words, print_exception=False) from None

    return said


def _gradio() -> Any:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError:
        raise UserError("app: needs gradio; pip install 'factorportrait[app]'") from None
    return gradio


def _uploaded(gradio: Any, words: str, kinds: tuple[str, ...]) -> Any:
    """A `gradio.File` that takes what was uploaded, and no address to download from."""
    file = gradio.File(label=f"{words} ({', '.join(kinds)})", file_types=[*kinds], height=120)
    move = file.async_move_resource_to_block_cache

    async def guarded(path: Any) -> Any:
        if path is not None and "://" in str(path):
            raise gradio.Error("upload a file; an address is not fetched", print_exception=False)
        return await move(path)

    file.async_move_resource_to_block_cache = guarded  # gradio writes stubs beside whoever derives a class from its own
    return file


def _asset(name: str) -> str:
    return (files("training.app") / name).read_text()
