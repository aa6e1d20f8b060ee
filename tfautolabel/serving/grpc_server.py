"""The gRPC port: a server in the event loop of the HTTP server, with the same models, calls and limits.

Web pages cannot speak gRPC, whose requests are HTTP/2 from the first byte: Host and Origin have no part here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from tfautolabel._optional import require
from tfautolabel.serving.application import Application
from tfautolabel.serving.calls import Asked, late_answer
from tfautolabel.serving.grpc_services import HEALTH, Method, Services
from tfautolabel.serving.refusals import Refusal

_log = logging.getLogger("tfautolabel.serving")

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status to gRPC code, as TensorFlow Serving pairs them."""

MAX_REQUESTS = 1024
"""How many requests may be under way at once; more get RESOURCE_EXHAUSTED."""

SETTLING_SECONDS = 0.05
"""How long gRPC may take to cancel a request that it has refused itself."""


class GrpcServer:
    """Answers at one port from `start` to `stop`.

    Args:
        application: has the models, the calls and the settings.
        host: the address.
        port: the number.
    """

    def __init__(self, application: Application, host: str, port: int) -> None:
        self._grpc = require("grpc", extra="grpc")
        self._application = application
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server: Any = None

    async def start(self) -> None:
        """Binds the port and begins.

        Raises:
            OSError: If the port is in use.
        """
        app, settings = self._application, self._application.settings
        services = Services(app.models, app.calls, settings.max_instances)
        server = self._grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body),
                ("grpc.max_send_message_length", -1),  # the outputs have a limit of their own
                # Else two servers share a port, and nobody says so.
                ("grpc.so_reuseport", int(settings.workers > 1)),
            ],
            maximum_concurrent_rpcs=MAX_REQUESTS,
        )
        for service, methods in services.methods.items():
            handlers = {
                name: self._handler(service, name, label, method) for name, (label, method) in methods.items()
            }
            server.add_generic_rpc_handlers((self._grpc.method_handlers_generic_handler(service, handlers),))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen at {self._address} (Address already in use)") from error
        await server.start()
        self._server = server

    async def stop(self, grace: float) -> None:
        """Takes no further requests, and ends when those under way are answered or the time is over."""
        if self._server is not None:
            await self._server.stop(grace)

    def _handler(self, service: str, name: str, label: str, method: Method) -> Any:
        """Returns the handler of a method.

        It is one for a stream of requests, which on the wire is the same as for one request: so nothing is
        read before it is known that the request may be answered.
        """

        async def handle(_requests: object, context: Any) -> bytes:
            start = time.perf_counter()
            asked = Asked(method=label)
            code, said, answer = "OK", "", b""
            try:
                answer = await self._answer(service, context, method, asked)
            except Refusal as refusal:
                code, said = _CODES.get(refusal.status, "UNKNOWN"), refusal.message
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception:
                _log.exception("request failed", extra={"path": f"/{service}/{name}"})
                code, said = "INTERNAL", "the server failed; its log says why"
            finally:
                self._note(f"/{service}/{name}", asked, code, time.perf_counter() - start, context)
            if code != "OK":
                await context.abort(self._grpc.StatusCode[code], said)
            return answer

        return self._grpc.stream_unary_rpc_method_handler(handle)

    async def _answer(self, service: str, context: Any, method: Method, asked: Asked) -> bytes:
        try:
            self._application.access.check_token(_headers_of(context))
        except Refusal:
            if service != HEALTH:
                raise
            return await method(b"", asked)  # a stranger's message is not read
        seconds = self._application.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                message = await context.read()
        except TimeoutError as error:
            raise Refusal(408, f"The body did not arrive within {seconds:g} seconds") from error
        if message is self._grpc.aio.EOF:
            # So ends what is too large, too, and what a client has given up; gRPC sees to these itself.
            await asyncio.sleep(SETTLING_SECONDS)
            raise Refusal(400, "a request has one message. Received: none")
        with self._application.bodies.holding(len(message)):
            try:
                async with asyncio.timeout(seconds):
                    return await method(message, asked)
            except TimeoutError as error:
                raise late_answer(seconds) from error

    def _note(self, path: str, asked: Asked, code: str, seconds: float, context: Any) -> None:
        self._application.metrics.count_request(asked.model, asked.method, code, seconds)
        is_failure = code in ("INTERNAL", "UNKNOWN")
        if self._application.settings.log_requests or is_failure:
            details = {"path": path, "status": code, "seconds": round(seconds, 5), "client": context.peer()}
            _log.log(logging.ERROR if is_failure else logging.INFO, "request", extra=details)


def _headers_of(context: Any) -> Mapping[bytes, bytes]:
    """Returns the metadata of a request as header values by name."""
    pairs = context.invocation_metadata() or ()
    return {
        key.encode("ascii"): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for key, value in pairs
    }
