"""What uvicorn leaves open: bounds on headers and on slow readers, and errors as JSON where it is no HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from tfautolabel._optional import require

MAX_HEADER_BYTES = 64 * 1024

_UPGRADE = re.compile(rb"\r\n(?:upgrade|http2-settings)[ \t]*:[^\r\n]*(?=\r\n)", re.IGNORECASE)
_END = b"\r\n\r\n"
_BEGINNING = re.compile(rb"(?:\r\n)*[A-Z]{0,20}(?:\Z| )")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
"""How a request begins, and what no head has: of anything else the parser says at once what is wrong."""


def bounded_protocol(seconds: float) -> Any:
    """A class of uvicorn's protocol that refuses headers which are too large or too slow.

    Its refusals are JSON like all others. Offers to speak another protocol, which a server may ignore (RFC
    9110, 7.8) and with which the parser would lose the request's body, are not shown to it. Clients that do
    not read their answers are cut off.

    Args:
        seconds: for a request's headers, and for any part of an answer to be read.
    """
    httptools_impl = require("uvicorn.protocols.http.httptools_impl", extra="serve")

    class Bounded(httptools_impl.HttpToolsProtocol):  # type: ignore[name-defined]
        _header_bytes = 0
        _alarm: asyncio.TimerHandle | None = None
        _unread_alarm: asyncio.TimerHandle | None = None
        _unread_bytes = 0
        _in_headers = True

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._head = bytearray()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_alarm()
            self._stop_unread_alarm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_headers:
                if self._alarm is None:
                    self._await_headers()
                data = self._without_offers(data)
            # Behind a body that comes in chunks there may be headers again.
            self._header_bytes += len(data)
            super().data_received(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, f"headers may have at most {MAX_HEADER_BYTES} bytes")

        def _without_offers(self, data: bytes) -> bytes:
            """The data without the lines of the head that offer another protocol; nothing before it is whole.

            A head comes in as many pieces as the network likes, and a line may be cut anywhere.
            """
            head = self._head
            searched = max(len(head) - len(_END), 0)
            if head:
                head += data
            # Clients may send empty lines before a request.
            start = 0 if head or data[0] > 13 else len(data) - len(data.lstrip(b"\r\n"))
            end = (head or data).find(_END, max(start, searched))
            if end < 0:
                begun = bool(head) or _BEGINNING.match(data) is not None
                small = len(head or data) <= MAX_HEADER_BYTES
                if begun and small and not _BARE_LINE_FEED.search(head or data, searched):
                    self._unset_keepalive_if_required()
                    self._head = head or bytearray(data[start:])
                    return b""
            if head:
                data, self._head = bytes(head), bytearray()
            if end < 0 or _UPGRADE.search(data, start, end + 2) is None:
                return data
            return _UPGRADE.sub(b"", data[: end + 2]) + data[end + 2 :]

        def on_headers_complete(self) -> None:
            self._in_headers, self._header_bytes = False, 0
            self._stop_alarm()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._header_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._in_headers, self._header_bytes = True, 0

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch_reader()

        def resume_writing(self) -> None:
            self._stop_unread_alarm()
            super().resume_writing()

        def _watch_reader(self) -> None:
            """Cuts the client off where nothing of what waits for it is read in time."""
            unread = self.transport.get_write_buffer_size()
            if self._unread_alarm is not None and unread >= self._unread_bytes:
                self.transport.abort()
                return
            self._unread_bytes = unread
            self._unread_alarm = self.loop.call_later(seconds, self._watch_reader)

        def _stop_unread_alarm(self) -> None:
            if self._unread_alarm is not None:
                self._unread_alarm.cancel()
                self._unread_alarm = None

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, f"Malformed request: {msg}")

        def _await_headers(self) -> None:
            self._alarm = self.loop.call_later(
                seconds, self._refuse, 408, "The headers did not arrive in time"
            )

        def _stop_alarm(self) -> None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

        def _refuse(self, status: int, message: str) -> None:
            if self.transport is None or self.transport.is_closing():
                return
            body = json.dumps({"error": message}).encode("ascii")
            head = (
                f"HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
            self.transport.close()

    return Bounded
