"""One request and its answer over ASGI: bodies read within bounds, answers written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tfautolabel.serving.refusals import Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
"""By their names in lower case; of one that comes twice, the last."""

JSON = "application/json"
_CLOSE = {"connection": "close"}
"""Where the rest of a body is not read, the connection cannot go on."""

_LINGER_SECONDS = 5.0
_LINGER_BODIES = 4
"""How long, and how many times the largest body, what is refused may go on to arrive."""


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        body: its bytes.
        content_type: of the body.
        status: of HTTP.
        headers: further ones.
    """

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """JSON indented as TensorFlow Serving does it."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    # The name of a folder may hold what UTF-8 cannot.
    return Answer(text.encode("utf-8", "backslashreplace") + b"\n", JSON, status, headers or {})


def error_answer(refusal: Refusal) -> Answer:
    """The protocol's {"error": …}."""
    return json_answer({"error": refusal.message}, refusal.status, refusal.headers)


class BodyReader:
    """Reads bodies of at most `max_bytes`, and at most `max_held` bytes of all requests at once."""

    def __init__(self, max_bytes: int, max_held: int) -> None:
        self.max_bytes = max_bytes
        self.max_held = max_held
        self.held = 0

    @contextlib.asynccontextmanager
    async def reading(self, headers: Headers, receive: Receive, seconds: float) -> AsyncIterator[bytes]:
        """The body, unpacked where it is gzip; its bytes count as held until the context ends.

        Raises:
            Refusal: If it is too large (413), comes too slowly (408), is encoded in another way (415) or the
                server holds too much already (503).
            ClientGoneError: If the client hung up.
        """
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self.max_bytes:
            if b"expect" not in headers:  # else the client waits for leave to send
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
        """Lets a client finish a body that is refused, within bounds: many read no answer before.

        Args:
            receive: of ASGI.
            seconds: that it may take at most, and never more than a few.
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
        """The content of all members of a gzip file."""
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
