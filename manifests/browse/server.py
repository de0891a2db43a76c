"""The page over HTTP, for this machine alone."""

from __future__ import annotations

import contextlib
import logging
import socketserver
import threading
import webbrowser
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from manifests.audit.probe import MeshProbe
from manifests.browse.api import Answer, Api, problem
from manifests.errors import UserError

ADDRESS: Final = "127.0.0.1"
IDLE_S: Final = 60
"""A connection that says nothing for so long is closed."""
MAX_PARAMETERS: Final = 16

_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(
    out: str,
    *,
    port: int = 0,
    open_browser: bool = True,
    mesh: MeshProbe | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page of a corpus folder, URL or view until Ctrl-C; `port` 0 takes a free one.

    `ready` gets the page's address once it answers. Raises UserError if there is no corpus, or the port is taken.
    """
    with Server(out, port=port, mesh=mesh) as server:
        if ready is not None:
            ready(server.url)
        if open_browser:
            webbrowser.open(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


class Server:
    """Serves, from a thread of its own, from when its block is entered until it is left."""

    def __init__(self, out: str, *, port: int = 0, mesh: MeshProbe | None = None) -> None:
        """Raises UserError if there is no corpus, or the port cannot be had."""
        api = Api(out, mesh)
        try:
            self._http = _Http(port, api)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"port {port}: {reason}; choose another --port, or 0 for a free one") from None
        self._thread = threading.Thread(target=self._http.serve_forever, name="browse", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self._http.server_port}/"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, api: Api) -> None:
        self.api = api
        self.files = dict(_static_files())
        super().__init__((ADDRESS, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    def server_bind(self) -> None:
        """As the parent, which would ask the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.getLogger(__name__).debug("browse: connection ended", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "factorportrait", ""
    timeout = IDLE_S
    server: _Http

    def do_GET(self) -> None:
        self._send(self._answer())

    def _refuse(self) -> None:
        self.close_connection = True  # a body, if there is one, is not read
        self._send(problem(405, f"{self.command[:20]}: this page is only read; use GET"))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """The parent looks for one function a method; all but GET are refused alike."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _answer(self) -> Answer:
        """Other pages open in the browser can reach this port too, under names of their own for this machine
        (DNS rebinding), so the name asked for must be ours, and the page that asks as well."""
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            return problem(403, f"Host: not this server; open {ADDRESS}:{self.server.server_port}")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return problem(403, "Sec-Fetch-Site: asked for by another site's page; open this one itself")
        url = urlsplit(self.path)
        if url.path in self.server.files:
            return self.server.files[url.path]
        try:
            pairs = parse_qsl(url.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            return problem(400, f"more than {MAX_PARAMETERS} parameters")
        return self.server.api.answer(url.path, dict(pairs))

    def _send(self, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            if answer.status == 405:
                self.send_header("Allow", "GET")
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the browser has gone on to something else

    def log_message(self, format: str, *arguments: Any) -> None:
        logging.getLogger(__name__).debug(format, *arguments)


def _static_files() -> Iterator[tuple[str, Answer]]:
    """The page's own files, by their paths: nothing else is ever read by the name in a URL."""
    for file in sorted(_PAGE.iterdir()):
        if file.suffix in _TYPES:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            yield path, Answer(200, _TYPES[file.suffix], file.read_bytes())
