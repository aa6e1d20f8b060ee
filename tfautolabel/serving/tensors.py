"""Converts the JSON of predict requests to arrays, and arrays to answers.

Shapes and rules: https://www.tensorflow.org/tfx/serving/api_rest. A request holds either `instances`, a list
with a value or an object for each row, or `inputs`, a value or an object of whole tensors. Its answer holds
`predictions` or `outputs` in the same form.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel.data.written_paths import is_base64
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import Arrays, Servable, Signature

MAX_RANK = 32
MAX_LISTS, MAX_VALUES = 2_000_000, 10_000_000
"""The limit for one body: parsing blocks everything else, and small values take far more than their text."""

_WORDS = re.compile(rb'(?P<string>"(?:[^"\\]|\\.)*+")|-?\bInfinity\b|\bNaN\b', re.DOTALL)
"""Matches strings, and the numbers that JSON does not have."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BYTES_SUFFIX = "_bytes"
"""Answers hold outputs with such names as base64, and other strings as UTF-8."""


def parse(body: bytes) -> dict[str, Any]:
    """Returns the object that a request's body holds.

    Raises:
        Refusal: If the body is not JSON, is not an object, or holds more than can be parsed in a short time.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body:
        raise Refusal(400, "JSON Parse error: The document is empty")
    if body.count(b"[") + body.count(b"{") > MAX_LISTS or body.count(b",") > MAX_VALUES:
        raise Refusal(
            400,
            f"a body may hold at most {MAX_LISTS} lists and objects and {MAX_VALUES} values; for more send "
            'binary values as {"b64": …}, or several requests',
        )
    try:
        found = _loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"JSON Parse error: {error or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise Refusal(400, f"JSON Value: {_show(found)} Is not object")
    return found


def _loads(body: bytes) -> Any:
    try:
        return _orjson().loads(body)
    except _orjson().JSONDecodeError:
        # TensorFlow Serving accepts NaN and Infinity, which are not JSON but which Python's reader knows. It
        # knows more that nobody else accepts, lone surrogates for instance: all else must be JSON.
        if b"NaN" not in body and b"Infinity" not in body:
            raise
        _orjson().loads(_WORDS.sub(lambda found: found["string"] or b"0", body))
        return json.loads(body.decode("utf-8"))


def read_request(
    document: dict[str, Any], servable: Servable, max_instances: int
) -> tuple[Signature, Arrays, bool]:
    """Reads what a predict request asks for.

    Args:
        document: the parsed body.
        servable: the model that it goes to.
        max_instances: the most rows that a request may have.

    Returns:
        The signature; arrays by input name, strings as bytes in object arrays; whether rows were given.

    Raises:
        Refusal: If the request does not fit the signature.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise Refusal(400, f"'signature_name' key must be a string value. Received: {_show(name)}")
    signature = servable.signature(name)
    if "instances" in document and "inputs" in document:
        raise Refusal(
            400, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
        )
    if "instances" in document:
        columns = _columns_of_instances(document["instances"], signature, max_instances)
    elif "inputs" in document:
        columns = _columns_of_inputs(document["inputs"], signature)
    else:
        raise Refusal(400, "Missing 'inputs' or 'instances' key")
    arrays = {key: _array(value, signature.inputs[key], key) for key, value in columns.items()}
    check_rows(arrays, max_instances)
    return signature, arrays, "instances" in document


def check_rows(arrays: Arrays, max_instances: int) -> None:
    """Refuses inputs with too many rows.

    Raises:
        Refusal: If an input has more than `max_instances` rows.
    """
    rows = max((len(array) for array in arrays.values() if array.ndim), default=0)
    if rows > max_instances:
        raise Refusal(400, f"a request may have at most {max_instances} rows. Received: {rows}")


def check_shape(shape: Sequence[int], spec: tf.TensorSpec, name: str) -> None:
    """Refuses a value that has not the shape of its input.

    Raises:
        Refusal: If it does not fit.
    """
    if not spec.shape.is_compatible_with(shape):
        raise Refusal(400, f"input {name} must have the shape {spec.shape}. Received: {tuple(shape)}")


def _columns_of_instances(instances: object, signature: Signature, max_instances: int) -> dict[str, Any]:
    if not isinstance(instances, list):
        raise Refusal(400, f"Expecting 'instances' to be an list/array. Received: {_show(instances)}")
    if not instances:
        raise Refusal(400, "No values in 'instances' array")
    if len(instances) > max_instances:
        raise Refusal(
            400, f"a request may have at most {max_instances} instances. Received: {len(instances)}"
        )
    names = sorted(signature.inputs)
    if not _is_object(instances[0]):
        if len(names) != 1:
            raise Refusal(
                400,
                "instances is a plain list, but expecting list of objects as multiple input tensors are "
                "required: " + ",".join(names),
            )
        if any(_is_object(instance) for instance in instances):
            raise Refusal(400, "Expecting value/list but got object in 'instances'")
        return {names[0]: instances}
    for number, instance in enumerate(instances):
        if not _is_object(instance):
            raise Refusal(400, f"Expecting object but got list at item {number} of input list")
        if sorted(instance) != names:
            raise Refusal(
                400,
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                "keys must be equal to: " + ",".join(names),
            )
    return {name: [instance[name] for instance in instances] for name in names}


def _columns_of_inputs(inputs: Any, signature: Signature) -> dict[str, Any]:
    names = sorted(signature.inputs)
    if not _is_object(inputs):
        if len(names) != 1:
            raise Refusal(
                400,
                "inputs is a plain value/list, but expecting an object as multiple input tensors required: "
                + ",".join(names),
            )
        return {names[0]: inputs}
    for name in names:
        if name not in inputs:
            raise Refusal(400, f"Missing named input: {name} in 'inputs' object.")
    return {name: inputs[name] for name in names}


def _is_object(value: object) -> bool:
    """Returns whether a value is an object that names inputs, and not an object that holds bytes."""
    return isinstance(value, dict) and not (len(value) == 1 and isinstance(value.get("b64"), str))


def _array(value: Any, spec: tf.TensorSpec, name: str) -> np.ndarray:
    """Converts a JSON value to an array with the type and shape of a specification."""
    shape: list[int] = []
    leaves = [value]
    while leaves and isinstance(leaves[0], list):
        size = len(leaves[0])
        if not all(isinstance(leaf, list) and len(leaf) == size for leaf in leaves):
            raise Refusal(400, f"the lists of input {name} must have the same lengths at level {len(shape)}")
        shape.append(size)
        if len(shape) > MAX_RANK:
            raise Refusal(400, f"input {name} must be nested at most {MAX_RANK} levels deep")
        leaves = [item for leaf in leaves for item in leaf]
    if any(isinstance(leaf, list) for leaf in leaves):
        raise Refusal(400, f"the values of input {name} must all be nested equally deep")
    check_shape(shape, spec, name)
    return _flat(leaves, spec.dtype, name).reshape(shape)


def _flat(leaves: list[Any], dtype: tf.DType, name: str) -> np.ndarray:
    types = {type(leaf) for leaf in leaves}
    if dtype == tf.string:
        found = np.empty(len(leaves), object)
        found[:] = [_bytes(leaf, name) for leaf in leaves]
        return found
    valid = {bool} if dtype.is_bool else {int} if dtype.is_integer else {int, float}
    if not (dtype.is_bool or dtype.is_integer or dtype.is_floating):
        raise Refusal(400, f"input {name} is of the type {dtype.name}, which JSON cannot give")
    if not types <= valid:
        wrong = next(leaf for leaf in leaves if type(leaf) not in valid)
        raise Refusal(
            400, f"JSON Value: {_show(wrong)} is not of expected type: {dtype.name}, that of input {name}"
        )
    array = _number_array(leaves, dtype)
    if array is None:
        raise Refusal(400, f"the values of input {name} must fit the type {dtype.name}")
    return array


def _number_array(leaves: list[Any], dtype: tf.DType) -> np.ndarray | None:
    """Returns booleans or numbers as an array; None if one is out of range (NaN and infinities never are)."""
    kind = dtype.as_numpy_dtype
    if dtype.is_bool:
        return np.array(leaves, bool)
    if dtype.is_integer:
        fits = not leaves or (int(dtype.min) <= min(leaves) and max(leaves) <= int(dtype.max))
        return np.array(leaves, kind) if fits else None
    try:
        wide = np.array(leaves, np.float64)
    except OverflowError:  # integers of hundreds of digits
        return None
    with np.errstate(over="ignore"):
        array = wide.astype(kind)
        lost = np.isfinite(wide) & ~np.isfinite(array.astype(np.float64))
    return None if lost.any() else array


def _bytes(leaf: object, name: str) -> bytes:
    if isinstance(leaf, str):
        if is_base64(leaf):
            raise Refusal(
                400,
                f"the value of input {name} is a file in base64, given as a plain string: "
                f'send {{"b64": "{leaf.strip()[:12]}…"}} instead of "{leaf.strip()[:12]}…"',
            )
        return leaf.encode("utf-8", "surrogatepass")
    if isinstance(leaf, dict):
        if _is_object(leaf):
            raise Refusal(400, f"JSON Value: {_show(leaf)} not formatted correctly for base64 data")
        text = "".join(leaf["b64"].split())
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error) as error:
            raise Refusal(400, f"Unable to base64 decode input {name}: {error}") from error
    raise Refusal(400, f"JSON Value: {_show(leaf)} is not of expected type: string, that of input {name}")


def write_answer(outputs: Arrays, rows: bool) -> bytes:
    """Returns the body of an answer.

    Args:
        outputs: name to array.
        rows: whether the request was in row format.

    Raises:
        Refusal: If the request was in row format, but the outputs have no rows or different numbers of rows.
    """
    columns = {name: _printable(name, value) for name, value in sorted(outputs.items())}
    if not rows:
        found = columns if len(columns) != 1 else next(iter(columns.values()))
        return _dumps({"outputs": found})
    sizes = {value.shape[0] if value.ndim else None for value in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        raise Refusal(
            400,
            "outputs without a common first dimension have no row format; ask with 'inputs'. Received: "
            + ", ".join(f"{name} {value.shape}" for name, value in sorted(outputs.items())),
        )
    if len(columns) == 1:
        return _dumps({"predictions": next(iter(columns.values()))})
    if sizes == {0} or any(_holds_nonfinite(column) for column in columns.values()):
        names = list(columns)
        rows_of = zip(*columns.values(), strict=True)
        return _dumps({"predictions": [dict(zip(names, row, strict=True)) for row in rows_of]})
    return _rows_text(columns)


def _rows_text(columns: dict[str, Any]) -> bytes:
    """Returns what `_dumps` gives for one object per row; much faster, because it writes whole columns."""
    names = [_dumps_finite(name).replace(b"%", b"%%") for name in columns]
    row = b"{" + b",".join(name + b":%b" for name in names) + b"}"
    texts = zip(*map(_cells, columns.values()), strict=True)
    return b'{"predictions":[' + b",".join([row % cells for cells in texts]) + b"]}"


def _cells(column: Any) -> list[bytes]:
    """Returns the text of each row of a column that has at least one row; all values are finite."""
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return _dumps_finite(column)[1:-1].split(b",")
    if isinstance(column, np.ndarray) and column.ndim == 2:
        return [b"[" + text + b"]" for text in _dumps_finite(column)[2:-2].split(b"],[")]
    return [_dumps_finite(value) for value in column]


def _printable(name: str, value: np.ndarray) -> Any:
    """Converts a value to what the writer below can print: numbers as an array, strings as lists."""
    if value.dtype == object:
        return _map_leaves(value.tolist(), _as_b64 if name.endswith(_BYTES_SUFFIX) else _as_text)
    if value.dtype.kind == "c":
        raise Refusal(400, f"JSON cannot give complex numbers. Received: output {name}, {value.dtype}")
    if value.dtype.kind not in "biuf" or value.dtype.itemsize == 2:
        value = value.astype(np.float32) if value.dtype.kind not in "biu" else value.astype(np.int32)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        # Writes float32 as the shortest number that reads back as the same float32, as the other writer does.
        return _map_leaves(value.tolist(), lambda leaf: float(str(value.dtype.type(leaf))))
    return np.ascontiguousarray(value) if value.ndim else value[()]


def _map_leaves(value: Any, function: Any) -> Any:
    if isinstance(value, list):
        return [_map_leaves(item, function) for item in value]
    return function(value)


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _as_b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}


@cache
def _orjson() -> ModuleType:
    return require("orjson", extra="serve")


def _dumps(answer: dict[str, Any]) -> bytes:
    if _holds_nonfinite(answer):
        return json.dumps(answer, ensure_ascii=False, default=_plain).encode("utf-8")
    return _dumps_finite(answer)


def _dumps_finite(value: object) -> bytes:
    found: bytes = _orjson().dumps(value, option=_orjson().OPT_SERIALIZE_NUMPY, default=_plain)
    return found


def _holds_nonfinite(value: object) -> bool:
    """Returns whether there is a NaN or an infinity, which only Python's writer prints; arrays are finite."""
    if isinstance(value, dict):
        return any(_holds_nonfinite(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_nonfinite(item) for item in value)
    return isinstance(value, float) and not np.isfinite(value)


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype == np.float32:
            return _map_leaves(value.tolist(), lambda leaf: float(str(np.float32(leaf))))
        return value.tolist()
    raise TypeError(f"JSON has no {type(value).__name__}")


def _show(value: object) -> str:
    """Returns the beginning of a value for a message; for a list or object, which may be large, its kind."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object with " + (", ".join(map(_show, list(value)[:3])) or "nothing")
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"
