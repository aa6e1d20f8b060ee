"""The ASGI application of the page: files, examples and the desk behind the rules of the model server.

The rules for Host and Origin, and the limits of bodies, are those of `tfautolabel.serving`. A browser
proves by its cookie that it came by a link, see `tfautolabel.review.links`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from tfautolabel.data import ReadFailure
from tfautolabel.review.desk import Desk, read_body
from tfautolabel.review.links import Links
from tfautolabel.review.material import Material
from tfautolabel.serving import exchange
from tfautolabel.serving.access import Access
from tfautolabel.serving.exchange import Answer, BodyReader, ClientGoneError, json_answer
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.settings import Settings

_log = logging.getLogger("tfautolabel.review")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = {"referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin"}
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
)
Result = TypeVar("Result")
THREADS = 6
WHO = 80
"""The most characters of a person's name."""


class Application:
    """Answers the page's requests.

    Args:
        desk: what the page may ask.
        links: who may ask.
        material: the examples.
        report: the report that a finished session leaves.
        settings: limits, host and further names of the server.
    """

    def __init__(
        self, desk: Desk, links: Links, material: Material, report: Path, settings: Settings
    ) -> None:
        self._desk, self._links, self._material, self._report = desk, links, material, report
        self._settings = settings
        self._access = Access(settings)
        self._bodies = BodyReader(settings.max_body, 4 * settings.max_body)
        self._pool = ThreadPoolExecutor(THREADS, "desk")

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: exchange.Receive, send: exchange.Send
    ) -> None:
        """Answers one request; see the ASGI specification."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        further: dict[str, str] = dict(_SAFE)
        try:
            self._access.check(headers, scope["method"], scope["path"])
            answer = await self._answer(scope, headers, receive)
        except Refusal as refusal:
            answer = exchange.error_answer(refusal)
        except ClientGoneError:
            return
        except asyncio.CancelledError:  # by uvicorn, when the grace period is over
            answer = exchange.error_answer(Refusal(503, "The server is shutting down"))
        except ValueError as error:
            answer = exchange.error_answer(Refusal(400, str(error)))
        except OSError as error:
            _log.exception("an answer could not be stored")
            answer = exchange.error_answer(Refusal(503, str(error)))
        except Exception:
            _log.exception("request failed")
            answer = exchange.error_answer(Refusal(500, "the server failed; its log says why"))
        if answer.status >= 400 and scope["method"] == "POST":
            further["connection"] = "close"  # the rest of a body that was not read would be the next request
        await exchange.send_answer(answer, send, further)

    async def _answer(
        self, scope: MutableMapping[str, Any], headers: exchange.Headers, receive: exchange.Receive
    ) -> Answer:
        path, method = scope["path"], scope["method"]
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        if path == "/" and "token" in query:
            return await self._run(self._enter, query["token"])
        if path == "/healthz":
            return json_answer({"status": "ok"})
        # The page itself holds no data; it says what a 401 means.
        if path == "/" or path.startswith("/static/"):
            _only(method, "GET", "HEAD")
            return page_file(path.removeprefix("/static/") if path != "/" else "index.html")
        known = await self._run(self._links.person, headers.get(b"cookie", b"").decode("latin-1"))
        if known is None:
            raise Refusal(
                401, "this page needs a link that was not used before: the terminal shows a new one"
            )
        if path.startswith("/media/"):
            _only(method, "GET", "HEAD")
            return await self._run(self._medium, path.removeprefix("/media/"))
        if path == "/report":
            _only(method, "GET", "HEAD")
            return await self._run(self._read_report)
        name = path.removeprefix("/api/")
        if not path.startswith("/api/") or (name not in self._desk.calls and name != "who"):
            raise Refusal(404, f"Not Found: {path[:200]}")
        _only(method, *(("GET", "POST") if name in ("session", "status", "history", "groups") else ("POST",)))
        body: dict[str, Any] = dict(query)
        if method == "POST":
            if not headers.get(b"content-type", b"").startswith(b"application/json"):
                raise Refusal(415, "a body is application/json here")
            async with self._bodies.reading(headers, receive, self._settings.timeout) as content:
                body = read_body(content)
        return await self._run(self._call, name, known, body)

    def _call(self, name: str, known: tuple[str, str], body: dict[str, Any]) -> Answer:
        digest, who = known
        if name == "who":
            who = str(body.get("who") or "").strip()[:WHO]
            if not who:
                raise Refusal(400, "a name has one letter at least")
            self._links.name(digest, who)
            name = "session"
        elif not who and name not in ("session", "status"):
            raise Refusal(409, "say first who you are")
        return json_answer(self._desk.calls[name](who, body), headers={"cache-control": "no-store"})

    def _enter(self, secret: str) -> Answer:
        cookie = self._links.open(secret)
        if cookie is None:
            # Perhaps the same browser opens its old address again: its cookie still counts.
            return Answer(b"", "text/plain", 303, {"location": "/", "cache-control": "no-store"})
        headers = {"location": "/", "set-cookie": cookie, "cache-control": "no-store"}
        return Answer(b"", "text/plain", 303, headers)

    def _medium(self, key: str) -> Answer:
        row = self._material.keys.get(key)
        if row is None:
            raise Refusal(404, "there is no such example")
        value = self._material.dataset.read(np.array([row]))[0]
        if isinstance(value, ReadFailure):
            raise Refusal(410, f"it can no longer be read: {value}")
        # Never a kind that a browser would run: the bytes come from the author of the data.
        headers = {
            "cache-control": "private, max-age=3600",
            "content-security-policy": "default-src 'none'; sandbox",
        }
        return Answer(value, kind_of(value), 200, headers)

    def _read_report(self) -> Answer:
        if not self._report.is_file():
            raise Refusal(404, "there is no report yet")
        headers = {"content-security-policy": _REPORT_POLICY, "cache-control": "no-store"}
        return Answer(self._report.read_bytes(), "text/html; charset=utf-8", 200, headers)

    async def _run(self, work: Callable[..., Result], *values: Any) -> Result:
        """Runs work that may wait for a disk in a thread, so that other requests go on."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def page_file(name: str) -> Answer:
    """Returns a file of the page.

    Raises:
        Refusal: If there is none with this name.
    """
    folder = resources.files("tfautolabel.review").joinpath("page")
    suffix = Path(name).suffix
    if "/" in name or "\\" in name or suffix not in _KINDS or not folder.joinpath(name).is_file():
        raise Refusal(404, f"Not Found: {name[:200]}")
    headers = {"cache-control": "no-cache"}
    if suffix == ".html":
        headers["content-security-policy"] = POLICY
    return Answer(folder.joinpath(name).read_bytes(), f"{_KINDS[suffix]}; charset=utf-8", 200, headers)


def kind_of(content: bytes) -> str:
    r"""Returns the content type of a picture or a sound.

    Examples:
        >>> kind_of(b"RIFF\x00\x00\x00\x00WAVE"), kind_of(b"<html>")
        ('audio/wav', 'application/octet-stream')
    """
    if content[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return "image/webp" if content[8:12] == b"WEBP" else "audio/wav"
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    return "application/octet-stream"


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refusal(
            405, f"only {', '.join(allowed)} is answered. Received: {method}", {"allow": ", ".join(allowed)}
        )
