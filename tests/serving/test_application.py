"""The protocol over HTTP: what TensorFlow Serving's users send and read."""

import base64
import contextlib
import gzip
import http.client
import json
import socket
import time

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from separable import CLASSES, picture
from served import Running
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from tfautolabel.serving.servable import load_servable


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def test_rows(server):
    assert server.predict({"instances": [[1, 2, 3], [0.5, 0, 0]]}) == (200, {"predictions": [12.0, 1.0]})
    named = {"signature_name": "serving_default", "instances": [{"x": [1, 2, 3]}]}
    assert server.predict(named) == (200, {"predictions": [12.0]})
    assert server.predict({"signature_name": "", "instances": [[1, 1, 1]]}) == (200, {"predictions": [6.0]})


def test_columns(server):
    assert server.predict({"inputs": [[1, 2, 3]]}) == (200, {"outputs": [12.0]})
    assert server.predict({"inputs": {"x": [[1, 2, 3]]}}) == (200, {"outputs": [12.0]})


def test_several_inputs_and_outputs(server):
    rows = [
        {"text": b64(b"\xff\xfe"), "times": 3, "upper": False},
        {"text": "aé", "times": -1, "upper": True},
    ]
    expected = {
        "length": [2, 3],
        "raw_bytes": [b64(b"\xff\xfe"), b64("aé".encode())],
        "text": ["��", "Aé"],
        "times": [6, -2],
        "upper": [True, False],
    }
    found = server.predict({"signature_name": "several", "instances": rows})
    predictions = [{name: values[row] for name, values in expected.items()} for row in range(2)]
    assert found == (200, {"predictions": predictions})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = server.predict({"signature_name": "several", "inputs": columns})
    assert found == (200, {"outputs": expected})


def test_outputs_without_rows_have_a_column_format_only(server):
    found = server.predict({"signature_name": "total", "inputs": [1, 2]})
    assert found == (200, {"outputs": {"total": 3.0, "x": [1.0, 2.0]}})
    status, answer = server.predict({"signature_name": "total", "instances": [1, 2]})
    assert status == 400
    assert "no row format" in answer["error"]


def test_tokens_that_json_does_not_have(server):
    body = '{"signature_name": "total", "inputs": [NaN, -Infinity, 0.1]}'
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/models/sums:predict", body)
    text = connection.getresponse().read().decode()
    connection.close()
    assert text == '{"outputs": {"total": NaN, "x": [NaN, -Infinity, 0.1]}}'


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ('{"inputs": [NaN, 1], "signature_name": "total", "note": "NaN \\" Infinity \\\\"}', 200),
        ('{"inputs": [-Infinity], "signature_name": "total"}', 200),
        ('{"inputs": [NaN], "note": "\\ud800"}', 400),
        ('{"inputs": [NaN], "note": "\t"}', 400),
        ('{"inputs": [NaN, 01]}', 400),
        ('{"inputs": [-NaN]}', 400),
        ('{"inputs": [NaN]', 400),
        ('{"inputs": [NaNNaN]}', 400),
    ],
)
def test_a_body_with_such_tokens_is_json_in_all_else(server, value, status):
    found, answer = server.predict(value)
    assert found == status, answer
    assert status == 200 or answer["error"].startswith("JSON Parse error")


def test_float32_is_printed_as_short_as_it_reads_back(server):
    status, answer = server.predict({"instances": [[0.05, 0, 0]]})
    assert (status, answer) == (200, {"predictions": [0.1]})


def test_metadata_is_what_the_protos_say(server, sums):
    status, answer, headers = server.ask("GET", "/v1/models/sums/metadata")
    assert (status, headers["content-type"]) == (200, "application/json")
    spec = json_format.ParseDict(answer["model_spec"], model_pb2.ModelSpec())
    assert (spec.name, spec.version.value) == ("sums", 2)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    json_format.ParseDict(answer["metadata"]["signature_def"], definitions)
    printed = json_format.MessageToDict(
        definitions, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert printed == answer["metadata"]["signature_def"]
    several = definitions.signature_def["several"]
    assert several.method_name == "tensorflow/serving/predict"
    assert {name: info.dtype for name, info in several.inputs.items()} == {
        "text": tf.string.as_datatype_enum,
        "times": tf.int32.as_datatype_enum,
        "upper": tf.bool.as_datatype_enum,
    }
    assert [
        dim.size for dim in definitions.signature_def["serving_default"].inputs["x"].tensor_shape.dim
    ] == [
        -1,
        3,
    ]
    assert server.ask("GET", "/v1/models/sums/versions/2/metadata")[1] == answer


def test_status_is_what_the_protos_say(server):
    for path in ("/v1/models/sums", "/v1/models/sums/versions/2"):
        status, answer, _ = server.ask("GET", path)
        assert status == 200
        response = json_format.ParseDict(answer, get_model_status_pb2.GetModelStatusResponse())
        (found,) = response.model_version_status
        assert (found.version, found.state) == (2, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        assert (found.status.error_code, found.status.error_message) == (0, "")
        printed = json_format.MessageToDict(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        assert answer["model_version_status"][0]["status"] == {"error_code": "OK", "error_message": ""}
        assert printed["model_version_status"][0]["version"] == answer["model_version_status"][0]["version"]


REFUSED = [
    ("GET", "/v1/models/none", None, 404, "Could not find any versions of model none"),
    ("GET", "/v1/models/sums/versions/9", None, 404, "Could not find version 9 of model sums"),
    ("GET", "/v1/models/none/metadata", None, 404, "Servable not found for request: Latest(none)"),
    ("POST", "/v1/models/none:predict", "{}", 404, "Servable not found for request: Latest(none)"),
    (
        "POST",
        "/v1/models/sums/versions/1:predict",
        "{}",
        404,
        "Servable not found for request: Specific(sums, 1)",
    ),
    ("GET", "/v1/models/sums/versions/99999999999999999999", None, 400, "Failed to convert version"),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/models/sums:predict", None, 400, "Malformed request: GET /v1/models/sums:predict"),
    ("POST", "/v1/models/sums", "{}", 400, "Malformed request: POST /v1/models/sums"),
    ("PUT", "/v1/models/sums:predict", "{}", 400, "Malformed request: PUT"),
    ("POST", "/v1/models/sums/labels/best:predict", "{}", 400, "Unrecognized servable version label: best"),
    ("POST", "/v1/models/sums:classify", "{}", 400, "only :predict is served"),
    ("GET", "/v2/health", None, 404, "Not Found: /v2/health"),
    ("POST", "/healthz", None, 405, "/healthz can only be read"),
    ("POST", "/v1/models/sums:predict", "", 400, "JSON Parse error: The document is empty"),
    ("POST", "/v1/models/sums:predict", "{", 400, "JSON Parse error"),
    ("POST", "/v1/models/sums:predict", "[1]", 400, "Is not object"),
    ("POST", "/v1/models/sums:predict", "{}", 400, "Missing 'inputs' or 'instances' key"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), REFUSED)
def test_refusals_are_those_of_tensorflow_serving(server, method, path, body, status, message):
    found, answer, headers = server.ask(method, path, body)
    assert (found, list(answer)) == (status, ["error"])
    assert message in answer["error"]
    assert headers.get_content_type() == "application/json"


def test_what_the_model_refuses_hurts_nobody_else(server):
    from concurrent.futures import ThreadPoolExecutor

    bodies = [{"signature_name": "picky", "instances": [value]} for value in (4, 20) * 8]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(server.predict, bodies))
    assert found[::2] == [(200, {"predictions": [2.0]})] * 8
    assert all(status == 400 and "below ten" in answer["error"] for status, answer in found[1::2])


def test_bodies_are_bounded(server):
    status, answer, headers = server.ask("POST", "/v1/models/sums:predict", b" " * 1_000_001)
    assert (status, headers["connection"]) == (413, "close")
    assert "at most 1000000 bytes" in answer["error"]
    # Without a declared length, it is counted while it comes.
    status, _, _ = server.ask("POST", "/v1/models/sums:predict", iter([b" " * 400_000] * 3))
    assert status == 413
    packed = gzip.compress(b" " * 5_000_000)
    status, answer, _ = server.ask("POST", "/v1/models/sums:predict", packed, {"Content-Encoding": "gzip"})
    assert status == 413
    status, answer = server.predict({"instances": [[0, 0, 0]] * 101})
    assert (status, answer["error"]) == (400, "a request may have at most 100 instances. Received: 101")


def test_gzip(server):
    packed = gzip.compress(b'{"instances": [[1, 1, 1]]}')
    status, answer, _ = server.ask("POST", "/v1/models/sums:predict", packed, {"Content-Encoding": "gzip"})
    assert (status, answer) == (200, {"predictions": [6.0]})
    members = gzip.compress(b'{"instances": [[1, ') + gzip.compress(b"1, 1]]}")
    found = server.ask("POST", "/v1/models/sums:predict", members, {"Content-Encoding": "gzip"})[:2]
    assert found == (200, {"predictions": [6.0]})
    for content, status in ((packed[:20], 400), (b"{}", 400)):
        headers = {"Content-Encoding": "gzip"}
        assert server.ask("POST", "/v1/models/sums:predict", content, headers)[0] == status
    assert server.ask("POST", "/v1/models/sums:predict", b"{}", {"Content-Encoding": "br"})[0] == 415


def _received(port, *contents):
    """What comes back for bytes that no client library would send, some of them a moment after others."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for number, content in enumerate(contents):
            time.sleep(0.1 * bool(number))
            connection.sendall(content)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def _raw(port, *contents):
    head, _, body = _received(port, *contents).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/models/sums:predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET /" + b"\xff" * 5 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000, 431),
    ],
)
def test_what_is_no_http_is_refused_as_json(server, content, status):
    found, answer = _raw(server.port, content)
    assert (found, list(answer)) == (status, ["error"])


PREDICT = b"POST /v1/models/sums:predict HTTP/1.1\r\nhost: localhost\r\n"
BODY = b'{"instances": [[1, 2, 3]]}'


@pytest.mark.parametrize(
    "cut", [None, 1, 40, 70, 105, 110, 118, 125, 140, 160, -len(BODY) - 2, -len(BODY), -3]
)
def test_offers_of_another_protocol_are_ignored(server, cut):
    """Java's client makes one with each request; the network cuts it anywhere."""
    head = PREDICT + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
    content = head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    assert _raw(server.port, *((content,) if cut is None else (content[:cut], content[cut:]))) == (
        200,
        {"predictions": [12.0]},
    )


def test_a_head_that_comes_byte_by_byte(server):
    head = PREDICT + b"connection: upgrade, close\r\nUpgrade: h2c\r\n"
    content = b"\r\n" + head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(content)):
            connection.sendall(content[place : place + 1])
            time.sleep(0.001)
        found = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert found.startswith(b"HTTP/1.1 200 OK")
    assert json.loads(found.partition(b"\r\n\r\n")[2]) == {"predictions": [12.0]}


@pytest.mark.parametrize("content", [b"\x16\x03\x01\x02", b"nonsense\n", b"GET / HTTP/1.1\nhost: x\n\n"])
def test_what_is_no_http_is_told_at_once(server, content):
    begin = time.monotonic()
    assert _raw(server.port, content)[0] == 400
    assert time.monotonic() - begin < 3


def test_headers_behind_a_body_are_bounded(server):
    begun = PREDICT + b"transfer-encoding: chunked\r\n\r\n1a\r\n" + BODY + b"\r\n0\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(begun)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 5_000_000:
                connection.sendall(b"x: y\r\n" * 1000)
                sent += 6000
                time.sleep(0.001)
    assert sent < 5_000_000


def test_a_body_that_nobody_reads_does_not_become_the_next_request(server):
    hasty = b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nGET /"
    found = _received(server.port, hasty + PREDICT + b"connection: close\r\ncontent-length: 2\r\n\r\n{}")
    assert b"Not Found: /nowhere" in found
    assert b"Missing 'inputs'" in found
    waits = b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    assert _raw(server.port, waits)[0] == 404  # and the connection ends


def test_who_does_not_read_its_answer_is_cut_off(folder):
    with Running(folder, timeout=2, max_body=60_000_000, max_instances=10) as running:
        large = json.dumps({"signature_name": "several", "inputs": {
            "text": ["a" * 20_000_000], "times": [1], "upper": [False]}}).encode()  # fmt: skip
        with socket.create_connection(("127.0.0.1", running.port), 30) as connection:
            connection.sendall(PREDICT + b"content-length: %d\r\n\r\n" % len(large) + large)
            time.sleep(6)
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(1 << 20):
                    received += len(chunk)
        assert received < 20_000_000


def test_rows_of_models_of_another_origin_are_not_split(server, sums):
    ask = {"signature_name": "centred", "inputs": list(range(100))}
    assert server.predict(ask)[1]["outputs"][0] == -49.5
    assert not load_servable("sums", 2, sums / "2").signatures["centred"].has_rows
    asked = load_servable("sums", 2, sums / "2", merge_all=True).signatures
    assert [name for name, signature in asked.items() if signature.has_rows] == [
        *("centred", "picky", "serving_default", "several")
    ]


def test_rows_of_exports_are_merged(exports):
    assert all(
        each.has_rows for each in load_servable("texts", 1, exports / "texts" / "1").signatures.values()
    )


def test_a_single_string_is_an_answer(server):
    assert server.predict({"signature_name": "told", "inputs": [1, 2]}) == (200, {"outputs": "3"})
    assert server.predict({"signature_name": "told", "instances": [1, 2]})[0] == 400


def test_slow_requests_end(folder):
    with Running(folder, timeout=0.3) as running:
        assert _raw(running.port, b"GET / HTTP/1.1\r\nhost")[0] == 408
        begun = b"POST /v1/models/sums:predict HTTP/1.1\r\ncontent-length: 10\r\n\r\n{"
        assert _raw(running.port, begun)[0] == 408


def test_pages_elsewhere_are_let_in_only_if_asked(server, folder):
    headers = {"Origin": "https://example.org"}
    status, _, found = server.ask("GET", "/healthz", None, headers)
    assert status == 403
    assert "access-control-allow-origin" not in found
    with Running(folder, allow_origin="https://example.org") as running:
        status, _, found = running.ask("OPTIONS", "/v1/models/sums:predict", None, headers)
        assert status == 200
        assert found["access-control-allow-headers"] == "content-type, authorization, x-api-key"
        _, _, found = running.ask("POST", "/v1/models/sums:predict", '{"instances": [[1, 1, 1]]}', headers)
        assert found["access-control-allow-origin"] == "https://example.org"


def test_metrics(server):
    server.predict({"instances": [[1, 2, 3]]})
    server.ask("GET", "/v1/models/nobody-knows-this:predict")
    status, text, headers = server.ask("GET", "/metrics")
    assert status == 200
    assert headers.get_content_type() == "text/plain"
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    name = 'tfautolabel_serving_requests_total{code="200",method="predict",model="sums"}'
    assert float(samples[name]) >= 1
    assert float(samples['tfautolabel_serving_batch_rows_count{model="sums"}']) >= 1
    assert float(samples["tfautolabel_serving_versions"]) == 1
    assert float(samples["tfautolabel_serving_waiting_rows"]) == 0
    assert "nobody-knows-this" not in text


def test_pictures_are_labelled_as_in_process(labels, exports):
    inputs = [picture(name, 9) for name in CLASSES] + [b"no picture"]
    status, answer = labels.predict({"instances": [b64(content) for content in inputs]}, "pictures")
    assert status == 200
    expected = tf.saved_model.load(str(exports / "pictures" / "1")).signatures["serving_default"](
        examples=tf.constant(inputs)
    )
    assert [row["label"] for row in answer["predictions"]] == [*CLASSES, ""]
    assert [row["accepted"] for row in answer["predictions"]] == expected["accepted"].numpy().tolist()
    assert [row["class_id"] for row in answer["predictions"]][-1] == -1
    found = np.array([row["probabilities"] for row in answer["predictions"]])
    np.testing.assert_allclose(found, expected["probabilities"].numpy(), atol=1e-6)


def test_all_signatures_of_an_export_are_served(labels, exports):
    status, answer = labels.predict({"signature_name": "features", "instances": ["good film"]}, "texts")
    assert status == 200
    assert answer["predictions"][0]["readable"] is True
    assert len(answer["predictions"][0]["features"]) == 8
    wave = {"waveforms": [0.1, -0.1] * 4000, "lengths": 8000, "sample_rate": 16000}
    status, answer = labels.predict({"signature_name": "waveforms", "instances": [wave]}, "sounds")
    expected = tf.saved_model.load(str(exports / "sounds" / "1")).signatures["waveforms"](
        waveforms=[wave["waveforms"]], lengths=[8000], sample_rate=[16000]
    )
    assert (status, answer["predictions"][0]["label"]) == (200, expected["label"].numpy()[0].decode())
    np.testing.assert_allclose(
        answer["predictions"][0]["probabilities"], expected["probabilities"].numpy()[0], atol=1e-6
    )
    _, answer, _ = labels.ask("GET", "/models")
    assert {each["name"]: each["modality"] for each in answer["models"]} == {
        "pictures": "image",
        "sounds": "audio",
        "texts": "text",
    }
