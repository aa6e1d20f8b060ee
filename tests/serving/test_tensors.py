"""JSON to arrays and back, and a fuzz of the server with JSON of every kind."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfautolabel.serving import tensors
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import Signature
from tfautolabel.serving.tensors import parse, read_request, write_answer


class Taking:
    """Stands in for a servable with one signature."""

    def __init__(self, **inputs):
        self.inputs = {name: tf.TensorSpec(shape, dtype) for name, (shape, dtype) in inputs.items()}

    def signature(self, name):
        return Signature(name, None, self.inputs, (), True)


def read(dtype, values, shape=(None,)):
    servable = Taking(x=(shape, dtype))
    return read_request({"inputs": values}, servable, 1000)[1]["x"]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (tf.float32, [0, 1.5, -3e38]),
        (tf.float64, [1e300, 7]),
        (tf.float16, [0.5, 1]),
        (tf.bfloat16, [0.5, 1]),
        (tf.int8, [-128, 127]),
        (tf.uint8, [0, 255]),
        (tf.int32, [-(2**31), 2**31 - 1]),
        (tf.int64, [-(2**63), 2**63 - 1]),
        (tf.uint64, [0, 2**64 - 1]),
        (tf.bool, [True, False]),
    ],
)
def test_numbers_of_every_type(dtype, values):
    found = read(dtype, values)
    assert found.dtype == dtype.as_numpy_dtype
    assert found.tolist() == values or np.allclose(found.astype(np.float64), values)
    assert read(dtype, [values, values], (None, len(values))).shape == (2, len(values))
    assert read(dtype, values[0], ()).shape == ()
    assert read(dtype, [], (None,)).shape == (0,)


@pytest.mark.parametrize(
    ("dtype", "values", "part"),
    [
        (tf.float32, ["1"], 'JSON Value: "1" is not of expected type: float32'),
        (tf.float32, [None], "JSON Value: null"),
        (tf.float32, [True], "JSON Value: true"),
        (tf.float32, [1e39], "must fit the type float32"),
        (tf.int32, [1.0], "JSON Value: 1.0"),
        (tf.int32, [2**31], "must fit the type int32"),
        (tf.uint8, [-1], "must fit the type uint8"),
        (tf.bool, [1], "JSON Value: 1"),
        (tf.string, [1], "JSON Value: 1 is not of expected type: string"),
        (tf.string, [{"b64": 1}], "not formatted correctly for base64 data"),
        (tf.string, [{"b64": "!"}], "Unable to base64 decode"),
        (tf.string, [{"b64": "QQ==", "x": 1}], "not formatted correctly for base64 data"),
        (tf.complex64, [1], "which JSON cannot give"),
        (tf.float32, [[1], [1, 2]], "the same lengths"),
        (tf.float32, [1, [1]], "equally deep"),
        (tf.float32, [[1], 1], "the same lengths"),
        (tf.float32, [[1]], "must have the shape (None,)"),
    ],
)
def test_values_that_do_not_fit_are_refused(dtype, values, part):
    with pytest.raises(Refusal) as refused:
        read(dtype, values)
    assert refused.value.status == 400
    assert part in refused.value.message


@given(st.lists(st.floats(width=32), max_size=20))
def test_floats_come_back_as_they_went(values):
    body = json.dumps({"inputs": values}).encode()
    array = read_request(parse(body), Taking(x=((None,), tf.float32)), 100)[1]["x"]
    np.testing.assert_array_equal(array, np.array(values, np.float32))
    back = json.loads(write_answer({"x": array}, rows=False))["outputs"]
    np.testing.assert_array_equal(np.array(back, np.float32), array)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_bytes_come_back_as_they_went(values):
    encoded = [{"b64": base64.b64encode(value).decode().rstrip("=")} for value in values]
    array = read(tf.string, encoded)
    assert array.tolist() == values
    back = json.loads(write_answer({"x_bytes": array}, rows=False))["outputs"]
    assert [base64.b64decode(each["b64"]) for each in back] == values


@given(st.lists(st.text(max_size=20), min_size=1, max_size=10))
def test_texts_come_back_as_they_went(values):
    body = json.dumps({"instances": values}).encode()
    array = read_request(parse(body), Taking(x=((None,), tf.string)), 100)[1]["x"]
    assert json.loads(write_answer({"x": array}, rows=True))["predictions"] == values


@pytest.mark.parametrize("depth", [40, 500, 1000, 1020, 100_000])
def test_deep_nests_are_refused(depth):
    for tail in (b"", b"NaN"):
        body = b'{"inputs": ' + b"[" * depth + tail + b"]" * depth + b"}"
        with pytest.raises(Refusal):
            read_request(parse(body), Taking(x=(None, tf.float32)), 100)


@pytest.mark.parametrize("body", [b"%s", b'{"signature_name": %s}', b'{"instances": {"b64": 1, "x": %s}}'])
@pytest.mark.parametrize("depth", range(950, 1030, 10))
def test_what_is_too_deep_for_a_message_is_refused(body, depth):
    with pytest.raises(Refusal) as refused:
        read_request(parse(body % (b"[" * depth + b"]" * depth)), Taking(x=(None, tf.string)), 100)
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b'{"inputs": [%s]}' % b",".join([b"[]"] * 11), b"[" + b"0," * 21 + b"0]"])
def test_more_than_can_be_taken_apart_at_once_is_refused_before_it_is(body, monkeypatch):
    monkeypatch.setattr(tensors, "MAX_LISTS", 10)
    monkeypatch.setattr(tensors, "MAX_VALUES", 20)
    monkeypatch.setattr(tensors, "_loads", lambda _: pytest.fail("it was taken apart"))
    with pytest.raises(Refusal, match="at most 10 lists and objects and 20 values"):
        parse(body)


def test_a_byte_order_mark_and_wrapped_base64_are_read():
    body = b'\xef\xbb\xbf{"inputs": [{"b64": "QUJD\\nREVG\\r\\n"}]}'
    found = read_request(parse(body), Taking(x=((None,), tf.string)), 100)[1]["x"]
    assert found.tolist() == [b"ABCDEF"]


@pytest.mark.parametrize("start", ["/9j/4AAQSkZJRgABAQAAAQ", "iVBORw0KGgoAAAANSUhEUg", "UklGRiQAAABXQVZF"])
def test_base64_without_its_object_is_refused(start):
    for value in (start + "A" * 40, f"data:image/jpeg;base64,{start}"):
        with pytest.raises(Refusal, match=r'send \{"b64": ') as refusal:
            read(tf.string, [value])
        assert refusal.value.status == 400
    assert read(tf.string, [{"b64": start}]).shape == (1,)
    assert read(tf.string, ["/9j/ is how it begins"]).tolist() == [b"/9j/ is how it begins"]


def test_complex_numbers_are_refused():
    with pytest.raises(Refusal, match="complex"):
        write_answer({"x": np.array([1 + 2j])}, rows=False)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["b64", "x", "text", "times", "upper"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=12,
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(["", "several", "total", "picky", "serving_default"]) | ANY,
        "instances": st.lists(ANY, max_size=4) | ANY,
        "inputs": ANY,
    },
)
QUIET = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(REQUEST | ANY)
def test_json_of_every_kind_is_answered(server, document):
    status, answer = server.predict(json.dumps(document))
    assert (status == 200 and list(answer) in (["predictions"], ["outputs"])) or (
        400 <= status < 500 and list(answer) == ["error"] and answer["error"]
    )


@QUIET
@given(st.binary(max_size=60))
def test_bytes_of_every_kind_are_answered(server, body):
    status, answer = server.predict(body)
    assert (status, list(answer)) == (400, ["error"])


@QUIET
@given(
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    st.lists(
        st.sampled_from(
            ["v1", "models", "sums", "versions", "2", "labels", "metadata", "x:predict", "%2f", ":"]
        )
        | st.text("abc0:%./\\é", max_size=5).map(lambda text: text.encode("ascii", "ignore").decode()),
        max_size=7,
    ),
)
def test_addresses_of_every_kind_are_answered(server, method, parts):
    status, answer, _ = server.ask(method, "/" + "/".join(parts))
    assert status == 200 or 400 <= status < 500
    if status != 200 and method != "HEAD":
        assert list(answer) == ["error"]


@given(st.integers(1, 4), st.integers(0, 3), st.sampled_from(["text", "x%y", 'a"b', "z_bytes"]))
def test_rows_are_written_as_objects(n, k, name):
    rng = np.random.default_rng([n, k])
    outputs = {
        "flat": rng.normal(size=n).astype(np.float32),
        "wide": rng.normal(size=(n, k)),
        "deep": rng.integers(0, 9, (n, 2, k)),
        "yes": rng.random(n) > 0.5,
        name: np.array([b"a,b],[%d" % row for row in range(n)], object),
    }
    rows = json.loads(write_answer(outputs, rows=True))["predictions"]
    columns = json.loads(write_answer(outputs, rows=False))["outputs"]
    assert rows == [{key: values[row] for key, values in columns.items()} for row in range(n)]
    with_nan = outputs | {"flat": np.full(n, np.nan, np.float32)}
    again = json.loads(write_answer(with_nan, rows=True))["predictions"]
    assert [row | {"flat": 0} for row in again] == [row | {"flat": 0} for row in rows]


def test_no_rows_are_written_as_none():
    assert write_answer({"a": np.zeros(0), "b": np.zeros((0, 2))}, rows=True) == b'{"predictions":[]}'
