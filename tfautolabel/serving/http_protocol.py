"""What uvicorn leaves open: bounds on headers, and errors as JSON where a request is no HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tfautolabel._optional import require

MAX_HEADER_BYTES = 64 * 1024


def bounded_protocol(seconds: float) -> Any:
    """A class of uvicorn's protocol that refuses headers which are too large or too slow.

    Its refusals are JSON like all others.

    Args:
        seconds: for a request's headers.
    """
    httptools_impl = require("uvicorn.protocols.http.httptools_impl", extra="serve")

    class Bounded(httptools_impl.HttpToolsProtocol):  # type: ignore[name-defined]
        _header_bytes = 0
        _alarm: asyncio.TimerHandle | None = None
        _in_headers = True

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_alarm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_headers:
                if self._alarm is None:
                    self._await_headers()
                self._header_bytes += len(data)
            super().data_received(data)
            if self._in_headers and self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, f"headers may have at most {MAX_HEADER_BYTES} bytes")

        def on_headers_complete(self) -> None:
            self._in_headers = False
            self._stop_alarm()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._in_headers, self._header_bytes = True, 0

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
