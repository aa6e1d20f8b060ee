"""What uvicorn leaves open: bounds on headers and on slow readers, and errors as JSON where it is no HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from tfautolabel._optional import require

MAX_HEADER_BYTES = 64 * 1024

_UPGRADE = re.compile(rb"\r\n(?:upgrade|http2-settings)[ \t]*:[^\r\n]*(?=\r\n)", re.IGNORECASE)


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
                head, end, rest = data.partition(b"\r\n\r\n")
                data = _UPGRADE.sub(b"", head + end[:2]) + end[2:] + rest
            # Behind a body that comes in chunks there may be headers again.
            self._header_bytes += len(data)
            super().data_received(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, f"headers may have at most {MAX_HEADER_BYTES} bytes")

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
