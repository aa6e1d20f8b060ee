"""TensorProto, the values of gRPC requests and answers, to arrays and back.

https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto. Messages come
from anybody: nothing grows far beyond what was sent, though a last value may stand for the rest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import Arrays, Signature
from tfautolabel.serving.tensors import MAX_RANK, MAX_VALUES, check_rows, check_shape

_FIELDS = {
    tf.string: "string_val",
    tf.bool: "bool_val",
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
    tf.complex64: "scomplex_val",
    tf.complex128: "dcomplex_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
}
"""The field with the values of each type, unless they are in tensor_content."""

_PARTS = {tf.complex64: np.float32, tf.complex128: np.float64}
"""The types whose values take two numbers of the field each, and the type of these."""


def read_inputs(inputs: Any, signature: Signature, max_instances: int) -> Arrays:
    """Reads the inputs of a predict request.

    Args:
        inputs: name to TensorProto.
        signature: the signature that is asked.
        max_instances: the most rows that a request may have.

    Returns:
        Arrays by input name, strings as bytes in object arrays.

    Raises:
        Refusal: If the request does not fit the signature.
    """
    for name in signature.inputs:
        if name not in inputs:
            raise Refusal(400, f"Missing named input: {name} in 'inputs' object.")
    if len(inputs) != len(signature.inputs):
        wrong = next(name for name in sorted(inputs) if name not in signature.inputs)
        raise Refusal(400, f"the inputs are {', '.join(sorted(signature.inputs))}. Received: {wrong[:60]!r}")
    arrays = {name: read_tensor(inputs[name], spec, name) for name, spec in signature.inputs.items()}
    check_rows(arrays, max_instances)
    return arrays


def read_tensor(proto: Any, spec: tf.TensorSpec, name: str) -> np.ndarray:
    """Converts a TensorProto to an array with the type and shape of a specification.

    Raises:
        Refusal: If it has another type or shape, or not the values for its shape.
    """
    dtype = spec.dtype
    if proto.dtype != dtype.as_datatype_enum:
        raise Refusal(400, f"input {name} is of the type {dtype.name}. Received: {_type_name(proto.dtype)}")
    if dtype not in _FIELDS:
        raise Refusal(400, f"input {name} is of the type {dtype.name}, which requests cannot give")
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise Refusal(400, f"input {name} must have a known shape of at most {MAX_RANK} dimensions")
    check_shape(shape, spec, name)
    count = math.prod(shape)
    if proto.tensor_content:
        return _of_content(proto.tensor_content, dtype, count, name).reshape(shape)
    if count > MAX_VALUES:
        raise Refusal(
            400,
            f"input {name} may have at most {MAX_VALUES} values outside of tensor_content. Received: {count}",
        )
    return _of_field(getattr(proto, _FIELDS[dtype]), dtype, count, name).reshape(shape)


def write_tensor(array: np.ndarray, proto: Any) -> None:
    """Writes an array into an empty TensorProto: into the typed fields, as TensorFlow Serving does."""
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    proto.dtype = dtype.as_datatype_enum
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = np.ascontiguousarray(array).reshape(-1)
    field = _FIELDS[dtype]
    if field == "half_val":
        flat = flat.view(np.uint16)
    elif dtype in _PARTS:
        flat = flat.view(_PARTS[dtype])
    getattr(proto, field).extend(flat.tolist())


MOST_REPEATED = 1 << 20
"""The most bytes of an input whose last value may stand for others."""


def _of_content(content: bytes, dtype: tf.DType, count: int, name: str) -> np.ndarray:
    if dtype == tf.string:
        raise Refusal(400, f"the strings of input {name} must be in string_val. Received: tensor_content")
    kind = np.dtype(dtype.as_numpy_dtype)
    if len(content) != count * kind.itemsize:
        raise Refusal(
            400,
            f"the tensor_content of input {name} must have {count * kind.itemsize} bytes. "
            f"Received: {len(content)}",
        )
    if dtype.is_bool:
        return np.frombuffer(content, np.uint8).astype(bool)
    return np.frombuffer(content, kind)


def _of_field(values: Any, dtype: tf.DType, count: int, name: str) -> np.ndarray:
    """Returns the values of a typed field; where they are too few, the last one stands for the rest.

    That holds for a few numbers only: a short message must not become many bytes.
    """
    parts = 2 if dtype in _PARTS else 1
    given = len(values) // parts
    repeats = dtype != tf.string and count * np.dtype(dtype.as_numpy_dtype).itemsize <= MOST_REPEATED
    if given > count or len(values) % parts or (given < count and not (given and repeats)):
        raise Refusal(
            400, f"input {name} must have {count} values in {_FIELDS[dtype]}. Received: {len(values)}"
        )
    if dtype == tf.string:
        array = np.empty(given, object)
        array[:] = list(values)
    else:
        array = _numbers(values, dtype, name)
    return array if given == count else np.concatenate([array, np.repeat(array[-1:], count - given)])


def _numbers(values: Any, dtype: tf.DType, name: str) -> np.ndarray:
    kind = np.dtype(dtype.as_numpy_dtype)
    if dtype in _PARTS:
        return np.fromiter(values, _PARTS[dtype], len(values) // 2 * 2).view(kind)
    if _FIELDS[dtype] not in ("int_val", "half_val"):
        return np.fromiter(values, kind, len(values))
    # These fields are wider than the type.
    wide, narrow = np.fromiter(values, np.int64, len(values)), kind if dtype.is_integer else np.dtype("u2")
    bounds = np.iinfo(narrow)
    if len(wide) and not (bounds.min <= wide.min() and wide.max() <= bounds.max):
        raise Refusal(400, f"the values of input {name} must fit the type {dtype.name}")
    array = wide.astype(narrow)
    return array if dtype.is_integer else array.view(kind)


def _type_name(number: int) -> str:
    try:
        return str(tf.as_dtype(number).name)
    except TypeError:
        return f"type {number}"
