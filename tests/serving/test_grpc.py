"""gRPC as TensorFlow Serving's own Python client speaks it, and the same answers over REST."""

import base64
import contextlib
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from clips import tones, wav
from grpc_health.v1 import health_pb2, health_pb2_grpc
from separable import CLASSES, picture
from served import Running
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

TOKEN = "a-token-of-some-length"


@contextlib.contextmanager
def channel(running, **options):
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}", **options) as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    with channel(server) as found:
        yield prediction_service_pb2_grpc.PredictionServiceStub(found)


@pytest.fixture(scope="module")
def status(server):
    with channel(server) as found:
        yield model_service_pb2_grpc.ModelServiceStub(found)


def request(model="sums", signature="", outputs=(), **inputs):
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = model
    asked.model_spec.signature_name = signature
    asked.output_filter.extend(outputs)
    for name, value in inputs.items():
        asked.inputs[name].CopyFrom(proto(value))
    return asked


def proto(value, dtype=None, shape=None):
    return tf.make_tensor_proto(value, dtype, shape)


X = proto([[1.0, 2, 3], [0.5, 0, 0]])


def refused(call, *arguments, **options):
    """Code and sentence of a call that fails."""
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, timeout=30, **options)
    return failure.value.code().name, failure.value.details()


def test_predict(client):
    answer = client.Predict(request(x=X), timeout=30)
    assert list(answer.outputs) == ["y"]
    assert (answer.outputs["y"].dtype, list(answer.outputs["y"].float_val)) == (
        tf.float32.as_datatype_enum,
        [12, 1],
    )
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("sums", 2, "serving_default")


def test_a_version_an_output_and_a_label(client):
    asked = request(
        "sums", "several", ["times", "text"], text=["aé".encode(), b"\xff"], times=[1, 2], upper=[True, False]
    )
    asked.model_spec.version.value = 2
    answer = client.Predict(asked, timeout=30)
    assert sorted(answer.outputs) == ["text", "times"]
    assert list(answer.outputs["text"].string_val) == ["Aé".encode(), b"\xff"]
    assert tf.make_ndarray(answer.outputs["times"]).tolist() == [2, 4]
    asked.model_spec.version.value = 7
    assert refused(client.Predict, asked) == (
        "NOT_FOUND",
        "Servable not found for request: Specific(sums, 7)",
    )
    asked.model_spec.version_label = "stable"
    code, said = refused(client.Predict, asked)
    assert (code, said) == ("INVALID_ARGUMENT", "Unrecognized servable version label: stable")


def _wrong_requests():
    unnamed = request(x=X)
    unnamed.model_spec.name = ""
    yield unnamed, "INVALID_ARGUMENT", "Missing model name"
    yield predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"
    yield request("nobody", x=X), "NOT_FOUND", "Servable not found for request: Latest(nobody)"
    yield request(signature="none", x=X), "INVALID_ARGUMENT", 'Serving signature name: "none" not found'
    yield request(), "INVALID_ARGUMENT", "Missing named input: x in 'inputs' object."
    yield request(x=X, z=X), "INVALID_ARGUMENT", "the inputs are x. Received: 'z'"
    yield request(x=[[1, 2, 3]]), "INVALID_ARGUMENT", "input x is of the type float32. Received: int32"
    yield request(x=[[1.0, 2]]), "INVALID_ARGUMENT", "input x must have the shape (None, 3). Received: (1, 2)"
    yield request(x=np.zeros((101, 3), np.float32)), "INVALID_ARGUMENT", "at most 100 rows. Received: 101"
    yield request(outputs=["z"], x=X), "INVALID_ARGUMENT", "the outputs are y. Received: output_filter 'z'"
    yield request(outputs=["y", "y"], x=X), "INVALID_ARGUMENT", "each output can be asked for once"
    yield request(signature="picky", x=[11.0]), "INVALID_ARGUMENT", "x must be below ten"
    yield request(x=np.zeros((100, 3000), np.float32)), "RESOURCE_EXHAUSTED", "larger than max"


@pytest.mark.parametrize(("asked", "code", "part"), list(_wrong_requests()))
def test_what_does_not_fit_is_refused(client, asked, code, part):
    found, said = refused(client.Predict, asked)
    assert (found, part in said) == (code, True), said


def test_what_is_no_message_is_refused(server):
    with channel(server) as found:
        predict = found.unary_unary("/tensorflow.serving.PredictionService/Predict")
        assert refused(predict, b"\xff\xff")[0] == "INVALID_ARGUMENT"
        nothing = found.stream_unary("/tensorflow.serving.PredictionService/Predict")
        assert refused(nothing, iter([]))[0] == "INVALID_ARGUMENT"
        unknown = found.unary_unary("/tensorflow.serving.PredictionService/Guess")
        assert refused(unknown, b"")[0] == "UNIMPLEMENTED"


def test_packed_messages_have_the_limit_of_what_is_in_them(server):
    with channel(server, compression=grpc.Compression.Gzip) as found:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(found).Predict
        assert predict(request(x=X), timeout=30).outputs["y"].float_val[:] == [12, 1]
        code, said = refused(predict, request(x=np.zeros((100, 3000), np.float32)))
    assert (code, "larger than max" in said) == ("RESOURCE_EXHAUSTED", True)


def test_only_predict_is_served(client, status):
    for call, message in (
        (client.Classify, classification_pb2.ClassificationRequest()),
        (client.Regress, regression_pb2.RegressionRequest()),
        (client.MultiInference, inference_pb2.MultiInferenceRequest()),
    ):
        code, said = refused(call, message)
        assert (code, said.startswith("only Predict is served")) == ("UNIMPLEMENTED", True)
    code, said = refused(status.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert (code, "by itself" in said) == ("UNIMPLEMENTED", True)


def test_metadata_and_status_are_those_of_rest(client, status, server):
    from google.protobuf import json_format

    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "sums"
    answer = client.GetModelMetadata(asked, timeout=30)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("sums", 2)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    rest = server.ask("GET", "/v1/models/sums/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    assert json_format.MessageToDict(signatures, **options)["signature_def"] == rest
    asked.metadata_field[:] = ["size"]
    assert refused(client.GetModelMetadata, asked) == (
        "INVALID_ARGUMENT",
        "Metadata field size is not supported",
    )
    asked.metadata_field[:] = []
    assert refused(client.GetModelMetadata, asked)[0] == "INVALID_ARGUMENT"
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "sums"
    found = json_format.MessageToDict(status.GetModelStatus(asked, timeout=30), **options)
    assert found == server.ask("GET", "/v1/models/sums")[1]
    asked.model_spec.version.value = 9
    assert refused(status.GetModelStatus, asked) == ("NOT_FOUND", "Could not find version 9 of model sums")


def _asks(exports):
    """Model, signature and inputs for each signature of each model of these tests."""
    pictures = [picture(name, 9) for name in CLASSES] + [b"no picture"]
    sounds = [wav(tones(seed=9)), wav(0.05 * tones(seed=9)), b""]
    wave = {"waveforms": [[0.1, -0.1] * 4000], "lengths": [8000], "sample_rate": [16000]}
    for signature in ("serving_default", "features"):
        yield "pictures", signature, {"examples": pictures}
        yield "texts", signature, {"examples": [b"good film", "bad é".encode(), b"\xff"]}
        yield "sounds", signature, {"examples": sounds}
    yield "sounds", "waveforms", wave


def _as_json(value):
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def test_every_signature_of_every_export_answers_as_over_rest(labels, exports):
    with channel(labels) as found:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(found).Predict
        for model, signature, inputs in _asks(exports):
            dtypes = {"lengths": tf.int32, "sample_rate": tf.int32, "waveforms": tf.float32}
            protos = {name: proto(value, dtypes.get(name)) for name, value in inputs.items()}
            answer = predict(request(model, signature, **protos), timeout=60)
            columns = {name: [_as_json(each) for each in value] for name, value in inputs.items()}
            status, rest = labels.predict({"signature_name": signature, "inputs": columns}, model)
            assert status == 200, rest
            outputs = rest["outputs"]
            assert sorted(answer.outputs) == sorted(outputs)
            for name, values in outputs.items():
                array = tf.make_ndarray(answer.outputs[name])
                if array.dtype == object:
                    assert [each.decode() for each in array.ravel()] == np.ravel(values).tolist()
                else:
                    np.testing.assert_array_equal(
                        array, np.array(values, array.dtype), f"{model} {signature}"
                    )


def test_the_health_check(server):
    with channel(server) as found:
        check = health_pb2_grpc.HealthStub(found).Check
        for service in ("", "tensorflow.serving.PredictionService"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert refused(check, health_pb2.HealthCheckRequest(service="cats"))[0] == "NOT_FOUND"


def test_requests_are_counted(client, server):
    client.Predict(request(x=X), timeout=30)
    refused(client.Predict, request(x=[1.0]))
    refused(client.Predict, request(x=np.zeros((100, 3000), np.float32)))
    text = server.ask("GET", "/metrics")[1]
    for code in ("OK", "INVALID_ARGUMENT"):
        assert f'requests_total{{code="{code}",method="predict",model="sums"}}' in text
    # gRPC refuses what is too large itself, before it is known which model is asked.
    for _ in range(200):
        if 'requests_total{code="CANCELLED",method="predict",model=""}' in server.ask("GET", "/metrics")[1]:
            break
        time.sleep(0.05)
    else:
        pytest.fail("it is not counted")


def test_a_token_is_asked_for_and_slow_requests_end(folder):
    sent = threading.Event()

    def never():
        sent.wait(30)
        yield b""

    with Running(folder, grpc=True, token=TOKEN, timeout=0.3) as running, channel(running) as found:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(found).Predict
        code, said = refused(predict, request(x=X))
        assert (code, "Authorization: Bearer TOKEN" in said) == ("UNAUTHENTICATED", True)
        for wrong in ("Bearer wrong", f"Basic {TOKEN}"):
            code, _ = refused(predict, request(x=X), metadata=[("authorization", wrong)])
            assert code == "UNAUTHENTICATED"
        check = health_pb2_grpc.HealthStub(found).Check
        # A stranger's message is not read: this one names a service that is not there.
        answer = check(health_pb2.HealthCheckRequest(service="cats"), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for right in (("authorization", f"Bearer {TOKEN}"), ("x-api-key", TOKEN)):
            assert predict(request(x=X), timeout=30, metadata=[right]).outputs["y"].float_val[:] == [6.0, 0.5]
        slow = found.stream_unary("/tensorflow.serving.PredictionService/Predict")
        code, said = refused(slow, never(), metadata=[right])
        assert (code, said) == ("DEADLINE_EXCEEDED", "The body did not arrive within 0.3 seconds")
        sent.set()
        # Without the token a request is refused before its message is read.
        sent.clear()
        assert refused(slow, never())[0] == "UNAUTHENTICATED"
        sent.set()
