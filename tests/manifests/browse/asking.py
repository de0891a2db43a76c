"""Questions to the page's server over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

Answer = tuple[int, bytes]


def ask(
    url: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **parameters: Any
) -> Answer:
    """The path goes out as it is, which urllib would tidy."""
    target = f"{path}?{urlencode(parameters)}" if parameters else path
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.putrequest(method, target, skip_host=headers is not None and "Host" in headers)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def told(url: str, path: str, **parameters: Any) -> Any:
    status, body = ask(url, path, **parameters)
    assert status == 200, body
    return json.loads(body)


def refused(url: str, path: str, status: int = 400, **parameters: Any) -> str:
    found, body = ask(url, path, **parameters)
    assert found == status, body
    return str(json.loads(body)["error"])


def keys(url: str, *conditions: tuple[str, str, str], **parameters: Any) -> list[str]:
    page = told(url, "/api/clips", where=json.dumps(conditions), **parameters)
    assert page["total"] >= len(page["rows"])
    return [row["key"] for row in page["rows"]]
