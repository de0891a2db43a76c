"""The page, served on this machine and to nobody else."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from manifests.errors import UserError
from training.app.page import make_page
from training.app.studio import Studio

HOST: Final = "127.0.0.1"
MOST_STORED_MB: Final = 1024
"""Of uploads and videos together; they go after an hour."""
_LONGEST_STEP_S: Final = 60.0
_POLICY: Final = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""The page takes nothing from any other host."""
_NO_DOCS: Final = {"docs_url": None, "redoc_url": None, "openapi_url": None}


def serve(studio: Studio, *, port: int = 0, open_browser: bool = True, ready: Callable[[str], None] = print) -> None:
    """Serve on loopback until Ctrl-C or SIGTERM; ``ready`` is told the address. Uploads and videos go with the process.

    Raises UserError where the port is taken, gradio is not installed, or the studio's corpus cannot be read.
    """
    with contextlib.ExitStack() as stack:
        ended = stack.enter_context(_until_told())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="factorportrait-app-"))
        os.environ["GRADIO_TEMP_DIR"] = folder  # where uploads go
        stack.callback(os.environ.pop, "GRADIO_TEMP_DIR")
        page, url = launch(dataclasses.replace(studio, folder=folder), port=port, open_browser=open_browser)
        stack.callback(page.close, verbose=False)
        ready(url)
        ended.wait()
        studio.ended.set()
        studio.busy.acquire(timeout=_LONGEST_STEP_S)  # torch's threads must not be at work when the process ends


def launch(studio: Studio, *, port: int = 0, open_browser: bool = False) -> tuple[Any, str]:
    """The page, and the address at which it is served by a thread. Raises UserError where the port is taken."""
    page, options = make_page(studio)
    try:
        _, url, _ = page.launch(
            server_name=HOST, server_port=port or _free_port(), prevent_thread_lock=True, inbrowser=open_browser,
            quiet=True, app_kwargs={"middleware": _middleware(studio.folder), **_NO_DOCS}, **options,
        )  # fmt: skip
    except OSError as error:
        page.close(verbose=False)
        raise UserError(f"port {port}: cannot be listened on ({error}); give another by --port") from None
    return page, str(url)


@contextlib.contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; signals reach the main thread alone."""
    ended = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _middleware(folder: str | None) -> list[Any]:
    """Other hosts' names, which a page elsewhere may have bound to this machine, are refused, and what other pages ask;
    see also `_POLICY`."""
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import PlainTextResponse

    async def guard(request: Any, call_next: Any) -> Any:
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            response = PlainTextResponse("another page may not ask this one", 403)
        elif request.url.path.endswith("/upload") and _stored_mb(folder) > MOST_STORED_MB:
            response = PlainTextResponse("too much is stored already; start the page anew", 507)
        else:
            response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return [hosts, Middleware(BaseHTTPMiddleware, dispatch=guard)]


def _stored_mb(folder: str | None) -> float:
    if folder is None:
        return 0.0
    with contextlib.suppress(OSError):  # a file that goes while they are counted
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 2**20
    return 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
