"""The ASGI application: addresses and answers of TensorFlow Serving's REST API.

https://www.tensorflow.org/tfx/serving/api_rest. Further addresses: `/` is a page for people, `/models`
returns what this page shows, `/healthz` says whether models are served, `/metrics` is for Prometheus. If the
settings say so, the addresses of `label_studio` are answered too.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from tfautolabel._model_folder import MAX_VERSION
from tfautolabel.serving import exchange, tensors
from tfautolabel.serving.access import Access
from tfautolabel.serving.batching import Batching
from tfautolabel.serving.calls import Asked, Calls, late_answer
from tfautolabel.serving.exchange import Answer, BodyReader, ClientGoneError, Headers, json_answer
from tfautolabel.serving.label_studio import PATHS as STUDIO_PATHS
from tfautolabel.serving.label_studio import LabelStudio
from tfautolabel.serving.metrics import Metrics
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.page import models_of_page, page
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import Arrays, Servable, Signature
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.studio_training import Training

_log = logging.getLogger("tfautolabel.serving")
_ADDRESS = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?:/(?P<metadata>metadata)|:(?P<method>classify|regress|predict))?",
    re.IGNORECASE | re.ASCII,
)


class Application:
    """Answers HTTP requests.

    Args:
        models: the models to serve.
        batching: runs the models.
        metrics: counts requests.
        settings: limits for each request, the origins that may read answers, whether requests are logged.
        training: learns from answers in Label Studio, if the settings have the server answer it.

    Attributes:
        access: decides who is answered.
        bodies: reads requests, and counts the bytes that are held.
        calls: runs the models.
    """

    def __init__(
        self,
        models: ServedModels,
        batching: Batching,
        metrics: Metrics,
        settings: Settings,
        training: Training | None = None,
    ) -> None:
        self.models = models
        self.metrics = metrics
        self.settings = settings
        self.access = Access(settings)
        self.bodies = BodyReader(settings.max_body, 4 * settings.max_body)
        self.calls = Calls(batching)
        origin = settings.allow_origin
        self._further = {} if origin is None else {"access-control-allow-origin": origin}
        self._studio = (
            LabelStudio(models, batching, self.bodies, settings, training or Training(None))
            if settings.label_studio
            else None
        )

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: exchange.Receive, send: exchange.Send
    ) -> None:
        """Answers one request; see the ASGI specification."""
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        what = Asked()
        headers: Headers = dict(scope["headers"])
        body = _Body(headers, receive)
        try:
            self.access.check(headers, scope["method"], scope["path"])
            answer = await self._answer(scope, headers, body.receive, what)
        except Refusal as refusal:
            answer = exchange.error_answer(refusal)
        except ClientGoneError:
            return
        except asyncio.CancelledError:  # by uvicorn, when the grace period is over
            answer = exchange.error_answer(Refusal(503, "The server is shutting down"))
        except Exception:
            _log.exception("request failed", extra={"path": scope["path"]})
            answer = exchange.error_answer(Refusal(500, "the server failed; its log says why"))
        seconds = time.perf_counter() - start
        self.metrics.count_request(what.model, what.method, answer.status, seconds)
        if self.settings.log_requests or answer.status >= 500:
            details = {
                "http_method": scope["method"],
                "path": scope["path"],
                "status": answer.status,
                "seconds": round(seconds, 5),
                "client": (scope.get("client") or [""])[0],
            }
            _log.log(logging.INFO if answer.status < 500 else logging.ERROR, "request", extra=details)
        further = self._further
        if not body.complete and body.will_come:
            await self.bodies.discard(body.receive, self.settings.timeout)
        if not body.complete:  # else the rest would be read as the next request
            further = {**further, "connection": "close"}
        await exchange.send_answer(answer, send, further)

    async def _answer(
        self, scope: MutableMapping[str, Any], headers: Headers, receive: exchange.Receive, what: Asked
    ) -> Answer:
        path, method = scope["path"], scope["method"]
        if method == "OPTIONS" and self.settings.allow_origin is not None:
            allowed = {
                "access-control-allow-methods": "GET, POST",
                "access-control-allow-headers": "content-type, authorization, x-api-key",
                "access-control-max-age": "600",
            }
            return Answer(b"", "text/plain", 200, allowed)
        if path.lower().startswith("/v1/"):
            return await self._answer_protocol(scope, headers, receive, what)
        if self._studio is not None and path in STUDIO_PATHS:
            return await self._studio.answer(path, method, headers, receive)
        own: dict[str, Callable[[], Answer]] = {
            "/": page,
            "/models": lambda: models_of_page(self.models),
            "/healthz": lambda: self._health(self.access.is_authorized(headers)),
            "/metrics": lambda: Answer(self.metrics.text(), self.metrics.content_type),
        }
        if path not in own:
            raise Refusal(404, f"Not Found: {path}")
        if method not in ("GET", "HEAD"):
            raise Refusal(405, f"{path} can only be read. Received: {method}", {"allow": "GET, HEAD"})
        return own[path]()

    async def _answer_protocol(
        self, scope: MutableMapping[str, Any], headers: Headers, receive: exchange.Receive, what: Asked
    ) -> Answer:
        path, method = scope["path"], scope["method"]
        found = _ADDRESS.fullmatch(path)
        if found is None:
            if method == "GET" and path.lower().rstrip("/") == "/v1/models":
                raise Refusal(400, "Missing model name in request.")
            raise Refusal(400, f"Malformed request: {method} {path}")
        verb = (found["method"] or "").lower()
        if method != ("POST" if verb else "GET"):
            raise Refusal(400, f"Malformed request: {method} {path}")
        what.method = verb or ("metadata" if found["metadata"] else "status")
        name = found["name"]
        if name in self.models.names():
            what.model = name
        if found["label"] is not None:
            raise Refusal(400, f"Unrecognized servable version label: {found['label']}")
        version = None if found["version"] is None else int(found["version"][:40])
        if version is not None and version > MAX_VERSION:
            raise Refusal(400, f"Failed to convert version: {found['version'][:40]} to numeric.")
        if found["metadata"]:
            return _metadata(self.models.get(name, version))
        if not verb:
            return json_answer(self.models.status(name, version))
        servable = self.models.get(name, version)
        if verb != "predict":
            raise Refusal(400, f"only :predict is served; the model has no signature for :{verb}")
        return await self._predict(servable, headers, receive)

    async def _predict(self, servable: Servable, headers: Headers, receive: exchange.Receive) -> Answer:
        async with self.bodies.reading(headers, receive, self.settings.timeout) as body:
            try:
                async with asyncio.timeout(self.settings.timeout):
                    return Answer(await self._predictions(servable, body))
            except TimeoutError as error:
                raise late_answer(self.settings.timeout) from error

    async def _predictions(self, servable: Servable, body: bytes) -> bytes:
        def read() -> tuple[Signature, Arrays, bool]:
            return tensors.read_request(tensors.parse(body), servable, self.settings.max_instances)

        signature, arrays, is_rows = await self.calls.apart(len(body), read)
        outputs, size = await self.calls.outputs(servable, signature, arrays)
        return await self.calls.apart(size, lambda: tensors.write_answer(outputs, is_rows))

    def _health(self, with_names: bool) -> Answer:
        names = self.models.names()
        if not names:
            raise Refusal(503, "no model is served")
        return json_answer({"status": "ok", "models": names} if with_names else {"status": "ok"})

    def close(self) -> None:
        """Stops the threads."""
        self.calls.close()
        if self._studio is not None:
            self._studio.close()


class _Body:
    """The body of a request: whether one comes, and whether all of it has come.

    Attributes:
        complete: whether all of the body has come.
        will_come: whether the client sends the body without waiting for permission.
    """

    def __init__(self, headers: Headers, receive: exchange.Receive) -> None:
        self.complete = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
        self.will_come = b"expect" not in headers
        self._receive = receive

    async def receive(self) -> MutableMapping[str, Any]:
        """Receives one message, as ASGI's `receive` does."""
        message = await self._receive()
        self.complete = not message.get("more_body", False)
        return message


def _metadata(servable: Servable) -> Answer:
    """Returns a GetModelMetadataResponse as TensorFlow Serving prints it."""
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    signatures = {"signature_def": servable.signature_defs}
    return json_answer({"model_spec": spec, "metadata": {"signature_def": signatures}})
