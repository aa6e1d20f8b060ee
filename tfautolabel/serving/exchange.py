"""Reads request bodies within limits and writes answers, over ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tfautolabel.serving.refusals import Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
"""Header values by name in lower case; if a header comes twice, the last one counts."""

JSON = "application/json"
_CLOSE = {"connection": "close"}
"""Closes the connection, which cannot go on if the rest of a body is not read."""

_LINGER_SECONDS = 5.0
_LINGER_BODIES = 4
"""Limits for the rest of a refused body: seconds, and size as a multiple of the largest allowed body."""


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


@dataclass(frozen=True)
class Answer:
    """An answer to a request.

    Attributes:
        body: the bytes of the body.
        content_type: the content type of the body.
        status: the HTTP status code.
        headers: further headers.
    """

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Returns an answer with JSON, indented as in TensorFlow Serving."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    # The name of a folder may hold characters that UTF-8 cannot encode.
    return Answer(text.encode("utf-8", "backslashreplace") + b"\n", JSON, status, headers or {})


def error_answer(refusal: Refusal) -> Answer:
    """Returns an answer with the protocol's {"error": …}."""
    return json_answer({"error": refusal.message}, refusal.status, refusal.headers)


class BodyReader:
    """Reads bodies of at most `max_bytes` each, and of at most `max_held` bytes for all requests together."""

    def __init__(self, max_bytes: int, max_held: int) -> None:
        self.max_bytes = max_bytes
        self.max_held = max_held
        self.held = 0

    @contextlib.asynccontextmanager
    async def reading(self, headers: Headers, receive: Receive, seconds: float) -> AsyncIterator[bytes]:
        """Reads the body and unpacks gzip; its bytes count as held until the context ends.

        Raises:
            Refusal: If the body is too large (413), comes too slowly (408) or has another encoding (415), or
                if the server already holds too many bytes (503).
            ClientGoneError: If the client hung up.
        """
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self.max_bytes:
            if b"expect" not in headers:  # else the client waits for permission to send
                await self.discard(receive, seconds)
            raise self._too_large()
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise Refusal(415, f"a body must be plain or gzip. Received: {encoding[:40]!r}", _CLOSE)
        taken = _Taken(self)
        try:
            try:
                async with asyncio.timeout(seconds):
                    body = await self._collect(receive, taken)
            except TimeoutError as error:
                raise Refusal(408, f"The body did not arrive within {seconds:g} seconds", _CLOSE) from error
            if encoding == "gzip":
                body = await asyncio.to_thread(self._unpack, body)
                taken.take(len(body))
            yield body
        finally:
            taken.give_back()

    @contextlib.contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Counts bytes that were read elsewhere as held until the context ends.

        Raises:
            Refusal: If the server already holds too many bytes (503).
        """
        taken = _Taken(self)
        try:
            taken.take(count)
            yield
        finally:
            taken.give_back()

    async def _collect(self, receive: Receive, taken: _Taken) -> bytes:
        chunks: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
            taken.take(len(chunks[-1]))
            if taken.size > self.max_bytes:
                chunks.clear()
                if more:
                    await self.discard(receive, _LINGER_SECONDS)
                raise self._too_large()
        return b"".join(chunks)

    async def discard(self, receive: Receive, seconds: float) -> None:
        """Reads the rest of a refused body, within limits; many clients read no answer before they sent it.

        Args:
            receive: ASGI's `receive`.
            seconds: the time limit; the method never takes more than a few seconds.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LINGER_SECONDS)):
                while size <= _LINGER_BODIES * self.max_bytes:
                    message = await receive()
                    size += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _unpack(self, body: bytes) -> bytes:
        """Returns the content of all members of a gzip file."""
        found: list[bytes] = []
        size = 0
        while body or not found:
            unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                found.append(unpacking.decompress(body, self.max_bytes - size + 1))
            except zlib.error as error:
                raise Refusal(400, f"the body is not gzip: {error}") from error
            size += len(found[-1])
            if size > self.max_bytes:
                raise self._too_large()
            if not unpacking.eof:
                raise Refusal(400, "the body is not gzip: it ends too early")
            body = unpacking.unused_data
        return b"".join(found)

    def _too_large(self) -> Refusal:
        return Refusal(413, f"a body may have at most {self.max_bytes} bytes", _CLOSE)


class _Taken:
    """The bytes that one request holds."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self.size = 0

    def take(self, count: int) -> None:
        if self._reader.held + count > self._reader.max_held:
            raise Refusal(503, "The server holds too many requests", {"retry-after": "1", **_CLOSE})
        self._reader.held += count
        self.size += count

    def give_back(self) -> None:
        self._reader.held -= self.size


async def send_answer(answer: Answer, send: Send, further: dict[str, str]) -> None:
    """Sends an answer with further headers."""
    headers = {
        "content-type": answer.content_type,
        "content-length": str(len(answer.body)),
        "x-content-type-options": "nosniff",
        **answer.headers,
        **further,
    }
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})
