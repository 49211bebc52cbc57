"""Answers a browser on this machine, and nobody else.

The address begins with a random word, so that no other page that is open can guess it, and a request for
another host is refused, so that none can give this machine a name of its own. There is nothing to change.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from augment.errors import RequestError
from pipelines import storage
from pipelines.look.site import Missing, Site
from pipelines.report.page import bundled

ADDRESS = "127.0.0.1"
_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MOST_FIELDS = 20
_UNREADABLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><text x="80" y="84" text-anchor="middle" '
    'font-family="sans-serif" font-size="15" fill="#888">unreadable</text></svg>'
)
"""What is shown where a picture should be."""


class Answer(NamedTuple):
    """What a request gets."""

    status: HTTPStatus
    kind: str
    """its media type"""
    body: bytes
    keep: bool = False
    """whether a browser may show it again without asking"""


class Server(ThreadingHTTPServer):
    """Serves one dataset on the loopback interface.

    Args:
        site: what there is to see.
        port: 0 takes a free one.

    Raises OSError if the port is taken.
    """

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site, self.token = site, secrets.token_urlsafe(24)
        super().__init__((ADDRESS, port), _Handler)
        hosts = [ADDRESS, "localhost"]
        self.hosts = {f"{host}:{self.server_port}" for host in hosts}
        self.hosts |= set(hosts) if self.server_port == 80 else set()

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def answer(self, path: str) -> Answer:
        """Of a path with a query, as it was asked for."""
        place, _, query = path.partition("?")
        _, token, name = (*place.split("/", 2), "", "")[:3]
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return _text(HTTPStatus.NOT_FOUND, "augshard look: the address is not the one that it printed")
        try:
            return self._page(name, dict(parse_qsl(query, max_num_fields=_MOST_FIELDS)))
        except Missing as error:
            return _html(HTTPStatus.NOT_FOUND, self.site.wrong(str(error)))
        except (RequestError, ValueError) as error:
            return _html(HTTPStatus.BAD_REQUEST, self.site.wrong(str(error)))
        except OSError as error:
            return _html(HTTPStatus.INTERNAL_SERVER_ERROR, self.site.wrong(storage.reason(error)))

    def _page(self, name: str, typed: dict[str, str]) -> Answer:
        if name == "":
            return _html(*self.site.listing(typed))
        if name == "sample":
            return _html(True, self.site.sample(typed))
        if name == "strip":
            return _html(*self.site.strip(typed))
        if name == "picture":
            webp = self.site.picture(typed)
            if webp is None:
                return Answer(HTTPStatus.NOT_FOUND, "image/svg+xml", _UNREADABLE.encode())
            return Answer(HTTPStatus.OK, "image/webp", webp, keep=True)
        if name in _FILES:
            kind, content = _FILES[name]
            return Answer(HTTPStatus.OK, f"{kind}; charset=utf-8", content().encode())
        raise Missing("there is no such page")


def _own(name: str) -> str:
    return resources.files("pipelines.look").joinpath(name).read_text(encoding="utf-8")


_FILES: dict[str, tuple[str, Callable[[], str]]] = {
    "style.css": ("text/css", lambda: bundled("theme.css") + bundled("style.css") + _own("look.css")),
    "look.js": ("text/javascript", lambda: _own("look.js")),
}


def _html(status: HTTPStatus | bool, page: str) -> Answer:
    """`status` may say whether what was asked for is there to be asked for."""
    if isinstance(status, bool):
        status = HTTPStatus.OK if status else HTTPStatus.BAD_REQUEST
    return Answer(status, "text/html; charset=utf-8", page.encode(errors="backslashreplace"))


def _text(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "augshard", ""
    timeout = 60
    server: Server

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host") or [""]
        if not self.server.hosts.issuperset(hosts):
            self._send(_text(HTTPStatus.FORBIDDEN, f"augshard look answers for {ADDRESS} alone"))
            return
        try:
            answer = self.server.answer(self.path)
        except Exception:
            failed = "augshard look: this failed; its terminal says where"
            self._send(_text(HTTPStatus.INTERNAL_SERVER_ERROR, failed))
            raise
        self._send(answer)

    def _refuse(self) -> None:
        self.close_connection = True  # what else came with the request is not read
        self._send(_text(HTTPStatus.METHOD_NOT_ALLOWED, "augshard look: there is only GET"))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {
            **_HEADERS,
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "private, max-age=3600" if answer.keep else "no-store",
        }
        if self.close_connection:
            headers["Connection"] = "close"
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Nothing: addresses hold the token."""
