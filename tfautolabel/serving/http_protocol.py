"""Adds to uvicorn: limits for headers and slow readers, and JSON errors for requests that are not HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tfautolabel._optional import require

MAX_HEADER_BYTES = 64 * 1024

_OFFERS = (b"upgrade", b"http2-settings")
"""The headers that offer another protocol."""


def bounded_protocol(seconds: float) -> Any:
    """Returns a class of uvicorn's protocol that refuses headers which are too large or come too slowly.

    Its refusals are JSON like all others. They are sent after the answers to earlier requests. The class
    removes offers to speak another protocol from the head of a request: a server may ignore them (RFC 9110,
    7.8), and with them the parser would lose the request's body. The parser stops after such a head, wherever
    it ends in the data, and then gets the head again without the offers. Clients that do not read their
    answers are disconnected.

    Args:
        seconds: the time limit for a request's headers, and for the client to read any part of an answer.
    """
    httptools = require("httptools", extra="serve")
    uvicorn = require("uvicorn.protocols.http.httptools_impl", extra="serve")
    parts = {"seconds": seconds, "_httptools": httptools}
    return type("Bounded", (_Bounded, uvicorn.HttpToolsProtocol), parts)


if TYPE_CHECKING:
    _Protocol = Any
else:
    _Protocol = object


class _Bounded(_Protocol):
    """The methods that `bounded_protocol` adds to uvicorn's protocol; uvicorn is an optional package."""

    seconds: float
    _httptools: Any
    headers: list[tuple[bytes, bytes]]
    parser: Any
    _header_bytes = 0
    _alarm: asyncio.TimerHandle | None = None
    _unread_alarm: asyncio.TimerHandle | None = None
    _unread_bytes = 0
    _in_headers = True
    _refusal = b""

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_alarm()
        self._stop_unread_alarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            return
        if self._in_headers and self._alarm is None:
            self._await_headers()
        # Headers may come again after a body in chunks.
        self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except self._httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
            return
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431, f"headers may have at most {MAX_HEADER_BYTES} bytes")

    def _parse(self, data: bytes) -> None:
        """Parses data in which any number of requests begin, go on and end."""
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
                return
            except self._httptools.HttpParserUpgrade as offer:
                (parsed,) = offer.args
            rest = rest[parsed:]
            head = self._head_without_offers()
            if head is None:
                self._refuse(400, "Malformed request: CONNECT is for proxies")
                return
            self.parser = _new_parser(self._httptools, self)
            self.parser.feed_data(head)

    def _head_without_offers(self) -> bytes | None:
        """Returns the parsed head without what stopped the parser; None if the method stopped it."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            return None
        lines = [method + b" " + self.url + b" HTTP/" + version.encode("ascii")]
        lines += [name + b": " + value for name, value in self.headers if name not in _OFFERS]
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # The same head comes again, without the offer.
        self._in_headers, self._header_bytes = False, 0
        self._stop_alarm()
        super().on_headers_complete()
        self.headers = []  # What comes after a body is no header of the request (RFC 9110, 6.5.1).

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._in_headers, self._header_bytes = True, 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        self._stop_unread_alarm()
        super().resume_writing()

    def _watch_reader(self) -> None:
        """Disconnects the client if it does not read any of the waiting data in time."""
        unread = self.transport.get_write_buffer_size()
        if self._unread_alarm is not None and unread >= self._unread_bytes:
            self.transport.abort()
            return
        self._unread_bytes = unread
        self._unread_alarm = self.loop.call_later(self.seconds, self._watch_reader)

    def _stop_unread_alarm(self) -> None:
        if self._unread_alarm is not None:
            self._unread_alarm.cancel()
            self._unread_alarm = None

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, f"Malformed request: {msg}")

    def _await_headers(self) -> None:
        self._alarm = self.loop.call_later(self.seconds, self._headers_are_late)

    def _headers_are_late(self) -> None:
        # While answers are still to be sent, it may be this side that does not read.
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_headers()
        else:
            self._refuse(408, "The headers did not arrive in time")

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _refuse(self, status: int, message: str) -> None:
        """Ends the connection with a refusal, after all earlier requests are answered."""
        if self.transport is None or self.transport.is_closing() or self._refusal:
            return
        self._stop_alarm()
        body = json.dumps({"error": message}).encode("ascii")
        head = (
            f"HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._refusal = head.encode("ascii") + body
        if self._in_headers:
            owes = self.cycle is not None and not self.cycle.response_complete
        else:
            # The request itself has begun: it waits for others, or it is being answered now.
            waiting = [entry for entry in self.pipeline if entry[0] is self.cycle]
            owes = bool(waiting)
            for entry in waiting:
                self.pipeline.remove(entry)
            if not owes and self.cycle.response_started:
                self.transport.close()
        if not owes:
            self._send_refusal()

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        if self._refusal and was_last:
            self._send_refusal()

    def _send_refusal(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._refusal)
            self.transport.close()


def _new_parser(httptools: Any, protocol: Any) -> Any:
    """Returns a parser as uvicorn makes it."""
    parser = httptools.HttpRequestParser(protocol)
    # Any data may follow the last request of a connection.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
