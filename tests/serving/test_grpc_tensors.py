"""TensorProto to arrays and back: as TensorFlow reads and writes them, and within limits."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfautolabel.serving.grpc_tensors import read_tensor, write_tensor
from tfautolabel.serving.refusals import Refusal

DTYPES = [
    *(tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.complex64, tf.complex128, tf.bool),
    *(tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64),
]


def proto(**fields):
    """A TensorProto; one of two rows by default."""
    found = tf.make_tensor_proto(np.zeros((2, 0), np.float32))
    found.Clear()
    found.dtype = fields.pop("dtype", tf.float32).as_datatype_enum
    for size in fields.pop("shape", (2,)):
        found.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        if name == "tensor_content":
            found.tensor_content = value
        else:
            getattr(found, name).extend(value)
    return found


def read(given, dtype=tf.float32, shape=None):
    return read_tensor(given, tf.TensorSpec(shape, dtype), "x")


def written(array):
    found = proto(shape=())
    write_tensor(array, found)
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
def test_what_tensorflow_writes_is_read_and_the_other_way_round(dtype, shape):
    values = np.random.default_rng(0).integers(0, 100, shape)
    array = np.asarray(values.astype(dtype.as_numpy_dtype))
    found = read(tf.make_tensor_proto(array), dtype)
    assert (found.dtype, found.shape) == (array.dtype, shape)
    np.testing.assert_array_equal(found, array)
    assert not written(array).tensor_content  # clients read the typed fields
    back = tf.make_ndarray(written(array))
    assert (back.dtype, back.shape) == (array.dtype, shape)
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(read(written(array), dtype), array)


@given(hnp.arrays(np.float32, hnp.array_shapes(max_side=4)))
def test_floats_come_back_as_they_went(array):
    np.testing.assert_array_equal(read(tf.make_tensor_proto(array)), array)
    np.testing.assert_array_equal(read(written(array)), array)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_strings_come_back_as_they_went(values):
    array = np.empty(len(values), object)
    array[:] = values
    assert read(tf.make_tensor_proto(values), tf.string).tolist() == values
    assert read(written(array), tf.string).tolist() == values


def test_a_last_value_stands_for_the_rest():
    assert read(proto(float_val=[1, 2], shape=(2, 2))).tolist() == [[1, 2], [2, 2]]


@pytest.mark.parametrize(
    ("given", "dtype", "part"),
    [
        (proto(), tf.float32, "must have 2 values in float_val. Received: 0"),
        (
            proto(dtype=tf.string, string_val=[b"a"]),
            tf.string,
            "must have 2 values in string_val. Received: 1",
        ),
        (
            proto(float_val=[1], shape=(10**6,)),
            tf.float32,
            "must have 1000000 values in float_val. Received: 1",
        ),
        (
            proto(dtype=tf.complex64, scomplex_val=[1, 2, 3]),
            tf.complex64,
            "must have 2 values in scomplex_val. Received: 3",
        ),
        (proto(double_val=[1, 2]), tf.float32, "must have 2 values in float_val. Received: 0"),
        (proto(float_val=[1, 2, 3]), tf.float32, "must have 2 values in float_val. Received: 3"),
        (proto(float_val=[1, 2]), tf.int32, "is of the type int32. Received: float32"),
        (proto(float_val=[1], shape=(10**9,)), tf.float32, "at most 10000000 values"),
        (proto(float_val=[1], shape=(2**40, 2**40)), tf.float32, "at most 10000000 values"),
        (proto(float_val=[1], shape=(-1,)), tf.float32, "a known shape"),
        (proto(float_val=[1], shape=(1,) * 40), tf.float32, "at most 32 dimensions"),
        (proto(tensor_content=b"1234567"), tf.float32, "must have 8 bytes. Received: 7"),
        (proto(tensor_content=b"1234", shape=(2**62, 2)), tf.float32, "bytes. Received: 4"),
        (proto(dtype=tf.string, tensor_content=b"ab"), tf.string, "must be in string_val"),
        (proto(dtype=tf.int8, int_val=[1, 128]), tf.int8, "must fit the type int8"),
        (proto(dtype=tf.float16, half_val=[1, 70000]), tf.float16, "must fit the type float16"),
        (proto(dtype=tf.complex64, scomplex_val=[1]), tf.complex64, "must have 2 values in scomplex_val"),
        (proto(dtype=tf.qint8, int_val=[1, 2]), tf.qint8, "which requests cannot give"),
    ],
)
def test_what_does_not_fit_is_refused(given, dtype, part):
    with pytest.raises(Refusal) as refused:
        read(given, dtype)
    assert (refused.value.status, part in refused.value.message) == (400, True), refused.value.message


def test_an_unknown_type_or_rank_is_refused():
    strange, shapeless = proto(), proto()
    strange.dtype = 99
    shapeless.tensor_shape.unknown_rank = True
    for each in (strange, shapeless):
        with pytest.raises(Refusal):
            read(each)


def test_any_byte_of_a_truth_value_is_true_or_false():
    found = read(proto(dtype=tf.bool, tensor_content=b"\x00\x07"), tf.bool)
    assert found.tolist() == [False, True]
