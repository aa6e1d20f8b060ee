"""What PredictionService, ModelService and the health check answer, message by message.

https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis. A message is refused for the same
reasons and in the same words as over REST.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tfautolabel._optional import require
from tfautolabel.serving.calls import Asked, Calls
from tfautolabel.serving.grpc_tensors import read_inputs, write_tensor
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import DEFAULT_SIGNATURE, Arrays, Servable, Signature

Method = Callable[[bytes, Asked], Awaitable[bytes]]
"""Answers a message; notes the model in the second argument."""

PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
HEALTH = "grpc.health.v1.Health"
_Message = TypeVar("_Message")


class Services:
    """Answers messages.

    Args:
        models: the models to serve.
        calls: runs the models.
        max_instances: the most rows of a request.

    Attributes:
        methods: service to method to its name for the metrics and what answers it.
    """

    def __init__(self, models: ServedModels, calls: Calls, max_instances: int) -> None:
        self._models = models
        self._calls = calls
        self._max_instances = max_instances
        apis = "tensorflow_serving.apis"
        self._predict_pb2 = require(f"{apis}.predict_pb2", extra="grpc")
        self._metadata_pb2 = require(f"{apis}.get_model_metadata_pb2", extra="grpc")
        self._status_pb2 = require(f"{apis}.get_model_status_pb2", extra="grpc")
        self._health_pb2 = require("grpc_health.v1.health_pb2", extra="grpc")
        self.methods: dict[str, dict[str, tuple[str, Method]]] = {
            PREDICTION: {
                "Predict": ("predict", self._predict),
                "GetModelMetadata": ("metadata", self._metadata),
                "Classify": ("classify", _not_served("Classify")),
                "Regress": ("regress", _not_served("Regress")),
                "MultiInference": ("other", _not_served("MultiInference")),
            },
            MODEL: {
                "GetModelStatus": ("status", self._status),
                "HandleReloadConfigRequest": ("other", _reload),
            },
            HEALTH: {"Check": ("other", self._check)},
        }

    async def _predict(self, message: bytes, asked: Asked) -> bytes:
        def read() -> tuple[Any, Servable, Signature, Arrays]:
            request = _parsed(self._predict_pb2.PredictRequest, message)
            servable = self._servable(request, asked)
            signature = servable.signature(request.model_spec.signature_name)
            _check_filter(request.output_filter, signature)
            return request, servable, signature, read_inputs(request.inputs, signature, self._max_instances)

        request, servable, signature, arrays = await self._calls.apart(len(message), read)
        outputs, size = await self._calls.outputs(servable, signature, arrays)

        def write() -> bytes:
            response = self._predict_pb2.PredictResponse()
            _write_spec(response.model_spec, servable, request.model_spec.signature_name or DEFAULT_SIGNATURE)
            for name in request.output_filter or sorted(outputs):
                write_tensor(outputs[name], response.outputs[name])
            return bytes(response.SerializeToString())

        return await self._calls.apart(size, write)

    async def _metadata(self, message: bytes, asked: Asked) -> bytes:
        from google.protobuf import json_format  # type: ignore[import-untyped]

        request = _parsed(self._metadata_pb2.GetModelMetadataRequest, message)
        servable = self._servable(request, asked)
        if not request.metadata_field:
            raise Refusal(400, "GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise Refusal(400, f"Metadata field {field[:60]} is not supported")
        response = self._metadata_pb2.GetModelMetadataResponse()
        _write_spec(response.model_spec, servable, "")
        signatures = self._metadata_pb2.SignatureDefMap()
        json_format.ParseDict({"signature_def": servable.signature_defs}, signatures)
        response.metadata["signature_def"].Pack(signatures)
        return bytes(response.SerializeToString())

    async def _status(self, message: bytes, asked: Asked) -> bytes:
        from google.protobuf import json_format

        request = _parsed(self._status_pb2.GetModelStatusRequest, message)
        name, version = self._asked(request, asked)
        response = self._status_pb2.GetModelStatusResponse()
        json_format.ParseDict(self._models.status(name, version), response)
        return bytes(response.SerializeToString())

    async def _check(self, message: bytes, _: Asked) -> bytes:
        request = _parsed(self._health_pb2.HealthCheckRequest, message)
        if request.service not in ("", PREDICTION, MODEL):
            raise Refusal(404, f"there is no service {request.service[:60]!r}")
        states = self._health_pb2.HealthCheckResponse
        state = states.SERVING if self._models.names() else states.NOT_SERVING
        return bytes(states(status=state).SerializeToString())

    def _servable(self, request: Any, asked: Asked) -> Servable:
        return self._models.get(*self._asked(request, asked))

    def _asked(self, request: Any, asked: Asked) -> tuple[str, int | None]:
        """Returns the name and the version that a request asks for."""
        if not request.HasField("model_spec"):
            raise Refusal(400, "Missing ModelSpec")
        spec = request.model_spec
        if not spec.name:
            raise Refusal(400, "Missing model name in request.")
        if spec.name in self._models.names():
            asked.model = spec.name
        if spec.HasField("version_label"):
            raise Refusal(400, f"Unrecognized servable version label: {spec.version_label[:60]}")
        return spec.name, spec.version.value if spec.HasField("version") else None


def _not_served(name: str) -> Method:
    async def refuse(_message: bytes, _asked: Asked) -> bytes:
        raise Refusal(501, f"only Predict is served; the model has no signature for {name}")

    return refuse


async def _reload(_message: bytes, _asked: Asked) -> bytes:
    raise Refusal(501, "the server looks for new versions by itself; it takes no list of models")


def _parsed(kind: Callable[[], _Message], message: bytes) -> _Message:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return kind.FromString(message)  # type: ignore[attr-defined, no-any-return]
    except DecodeError as error:
        raise Refusal(400, "the message is not the one that the method takes") from error


def _check_filter(names: Any, signature: Signature) -> None:
    for name in names:
        if name not in signature.outputs:
            raise Refusal(
                400, f"the outputs are {', '.join(signature.outputs)}. Received: output_filter {name[:60]!r}"
            )
    if len(set(names)) != len(names):
        raise Refusal(400, f"each output can be asked for once. Received: output_filter {list(names)[:8]}")


def _write_spec(spec: Any, servable: Servable, signature_name: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name
