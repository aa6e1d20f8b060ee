"""Reads weights and operators from a TensorFlow Lite file as data, without running anything in it.

The file is a flatbuffer with the schema in
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

OPERATORS = {0: "ADD", 3: "CONV_2D", 17: "MAX_POOL_2D", 55: "MAXIMUM", 98: "LEAKY_RELU"}
"""The operators that have a name here. All others are "other"."""

_FLOAT32 = 0


class Operator(NamedTuple):
    """One operator of the graph.

    Attributes:
        name: a value of `OPERATORS`, or "other".
        options: its settings, a table with the schema's field numbers. None if it has none.
        constants: its inputs that are float32 constants, in order.
    """

    name: str
    options: Table | None
    constants: list[np.ndarray]


class Table:
    """One table of a flatbuffer, with fields by number.

    Args:
        data: the whole file.
        place: where the table begins.
    """

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self._fields = place - struct.unpack_from("<i", data, place)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot >= self._size:
            return None
        offset = struct.unpack_from("<H", self._data, self._fields + slot)[0]
        return self._place + offset if offset else None

    def number(self, field: int, form: str, default: int = 0) -> int:
        """Returns a number.

        Args:
            field: the field's number.
            form: its type, as a format of `struct`.
            default: the value if the file leaves it out.
        """
        place = self._field(field)
        return default if place is None else struct.unpack_from("<" + form, self._data, place)[0]

    def table(self, field: int) -> Table | None:
        """Returns a nested table, or None."""
        place = self._field(field)
        return None if place is None else Table(self._data, self._follow(place))

    def array(self, field: int, dtype: str) -> np.ndarray:
        """Returns a vector of numbers, empty if the file leaves it out."""
        place = self._field(field)
        if place is None:
            return np.zeros(0, dtype)
        place = self._follow(place)
        return np.frombuffer(self._data, dtype, struct.unpack_from("<I", self._data, place)[0], place + 4)

    def tables(self, field: int) -> list[Table]:
        """Returns a vector of tables, empty if the file leaves it out."""
        place = self._field(field)
        if place is None:
            return []
        place = self._follow(place)
        (count,) = struct.unpack_from("<I", self._data, place)
        return [Table(self._data, self._follow(place + 4 + 4 * index)) for index in range(count)]

    def _follow(self, place: int) -> int:
        return place + int(struct.unpack_from("<I", self._data, place)[0])


def read_tflite(path: str | Path) -> tuple[list[np.ndarray], list[Operator]]:
    """Returns the float32 constants of a file and its operators, each in the file's order.

    Args:
        path: the file.

    Raises:
        ValueError: If it is not a TensorFlow Lite file.
    """
    data = Path(path).read_bytes()
    try:
        return _read(data)
    except (struct.error, ValueError, IndexError, RecursionError) as error:
        raise ValueError(f"{path} is not a TensorFlow Lite file that can be read: {error}") from error


def _read(data: bytes) -> tuple[list[np.ndarray], list[Operator]]:
    if data[4:8] != b"TFL3":
        raise ValueError("its mark TFL3 is missing")
    model = Table(data, struct.unpack_from("<I", data, 0)[0])
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    constants = {}
    for index, tensor in enumerate(graph.tables(0)):
        raw = buffers[tensor.number(2, "I")].array(0, "u1")
        if len(raw) and tensor.number(1, "b") == _FLOAT32:
            constants[index] = raw.view("<f4").reshape(tensor.array(0, "<i4"))
    operators = [
        Operator(
            OPERATORS.get(codes[operator.number(0, "I")], "other"),
            operator.table(4),
            [constants[index] for index in operator.array(1, "<i4").tolist() if index in constants],
        )
        for operator in graph.tables(3)
    ]
    return list(constants.values()), operators
