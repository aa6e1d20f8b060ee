"""TFRecord files of `tf.train.Example`; only the positions of the records are kept in memory.

A record is its length (8 bytes), a checksum of the length (4), the data, and a checksum of the data (4); see
https://www.tensorflow.org/tutorials/load_data/tfrecord. The data is a protocol buffer, see
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto. Its features are
lists of bytes, floats or integers, and this module reads all of these.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

from tfautolabel.data.label_texts import label_text
from tfautolabel.data.readers import MAX_FILE_BYTES, ReadFailure
from tfautolabel.data.tables.contract import Columns, Record, RowCollector, Scan, checked
from tfautolabel.data.tables.places import PlacedReader, Places
from tfautolabel.data.tables.text_file import TextFile

_FOOTER = 4
_HEADER = struct.Struct("<QI")


class TFRecordTable:
    """A TFRecord file; the columns are the keys of the first examples.

    Args:
        path: the file.
        source: where it was copied from, if it is a copy; `name` is then the name in messages.

    Raises:
        ValueError: If the file does not begin with a record, or the first record is no example.
    """

    def __init__(self, path: str | os.PathLike[str], source: TextFile | None = None) -> None:
        self.path = os.fspath(path)
        self.name = self.path if source is None else source.name
        self._copy = None if source is None else source.copy
        self.id_hint: str | None = None
        self.unnamed = False
        self.notes: tuple[str, ...] = ()
        first = self._first(20)
        # Protocol buffers do not keep maps in order.
        self.columns = tuple(sorted({key for example in first for key in example}))
        if not self.columns:
            raise ValueError(
                f"{self.name}: must hold tf.train.Example records. Received: none that can be read"
            )

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows."""
        return [{key: _input_of(row, key) for key in self.columns} for row in self._first(count)]

    def records(self) -> Iterator[Record]:
        """Yields each row's values, or why it has none."""
        for row, (_, data) in enumerate(self._records()):
            try:
                example = parse_example(data) if isinstance(data, bytes) else None
            except ValueError as error:
                example, data = None, str(error)
            yield Record(f"record {row}", example, None if example is not None else str(data))

    def scan(self, columns: Columns) -> Scan:
        """Passes over the file once; see `Table.scan`."""
        collector = RowCollector(self.name, columns)
        places = Places()
        for row, (start, data) in enumerate(self._records()):
            if isinstance(data, str):
                collector.set_aside(row, None, f"record {row}: {data}")
                continue
            try:
                example = parse_example(data)
            except ValueError as error:
                collector.set_aside(row, None, f"record {row}: {error}")
                continue
            name = None if columns.id is None else label_text(_one(example, columns.id))
            if _input_of(example, columns.input) is None:
                collector.set_aside(row, name, f"record {row}: no {columns.input!r}")
                continue
            if columns.id is not None and not name:
                collector.set_nameless_aside(row, f"record {row}")
                continue
            collector.keep(row, label_text(example.get(columns.label)) if columns.label else None, name)
            places.append(start, len(data))
        lasts = self._copy is None
        return collector.finish(PlacedReader(self.path, places, _KeyOf(columns.input), lasts))

    def _first(self, count: int) -> list[dict[str, list[Any]]]:
        found: list[dict[str, list[Any]]] = []
        for number, (_, data) in enumerate(self._records()):
            if number == 10 * count or len(found) == count:
                break
            if isinstance(data, bytes):
                try:
                    found.append(parse_example(data))
                except ValueError:
                    continue
        return found

    def _records(self) -> Iterator[tuple[int, bytes | str]]:
        """Yields position and data of each record; if the file is damaged, the last is a reason."""
        size = os.path.getsize(self.path)
        with open(self.path, "rb") as file:
            place = 0
            while place < size:
                header = file.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    yield place, "the file ends within a record"
                    return
                length, checksum = _HEADER.unpack(header)
                if checksum != masked_crc32c(header[:8]):
                    if place == 0:
                        raise ValueError(f"{self.name}: is not an uncompressed TFRecord file")
                    yield place, "the file is damaged here: the length's checksum is wrong"
                    return
                end = place + _HEADER.size + length + _FOOTER
                if end > size or length > MAX_FILE_BYTES:
                    yield place, "the file ends within a record" if end > size else "too large"
                    if end > size:
                        return
                    file.seek(end)
                else:
                    yield place + _HEADER.size, file.read(length)
                    file.seek(_FOOTER, os.SEEK_CUR)
                place = end


class _KeyOf:
    """Extracts the bytes under one key of an example."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, data: bytes) -> bytes:
        try:
            return checked(_input_of(parse_example(data), self._key))
        except ValueError as error:
            raise ReadFailure(f"the file has changed since it was listed: {error}") from error


def parse_example(data: bytes) -> dict[str, list[Any]]:
    """Parses the features of a serialised `tf.train.Example`.

    Args:
        data: the protocol buffer.

    Returns:
        A dictionary from each key to its values: bytes, floats or integers.

    Raises:
        ValueError: If it is not such a protocol buffer.
    """
    features: dict[str, list[Any]] = {}
    for number, _, message in _fields(data):
        if number != 1 or not isinstance(message, bytes):
            continue
        for inner, _, entry in _fields(message):
            if inner != 1 or not isinstance(entry, bytes):
                continue
            pair = {field: value for field, _, value in _fields(entry) if isinstance(value, bytes)}
            if 1 in pair and 2 in pair:
                features[pair[1].decode("utf-8", "backslashreplace")] = _values(pair[2])
    return features


def _values(feature: bytes) -> list[Any]:
    """Returns the values of one `Feature`, a list of bytes (1), floats (2) or integers (3)."""
    values: list[Any] = []
    for kind, _, content in _fields(feature):
        if not isinstance(content, bytes):
            continue
        for number, wire, value in _fields(content):
            if number != 1:
                continue
            if kind == 1:
                values.append(value)
            elif kind == 2:
                packed = value if isinstance(value, bytes) else b""
                values += [item for (item,) in struct.iter_unpack("<f", packed[: len(packed) // 4 * 4])]
            elif wire == 2 and isinstance(value, bytes):
                place = 0
                while place < len(value):
                    item, place = _varint(value, place)
                    values.append(_signed(item))
            elif isinstance(value, int):
                values.append(_signed(value))
    return values


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yields number, wire type and value of each field of a protocol buffer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        value: bytes | int
        if wire == 0:
            value, place = _varint(data, place)
        else:
            if wire == 2:
                length, place = _varint(data, place)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise ValueError("it is no tf.train.Example: an unknown wire type")
            value = data[place : place + length]
            if len(value) != length:
                raise ValueError("it is no tf.train.Example: a field is cut off")
            place += length
        yield number, wire, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("it is no tf.train.Example: a number is cut off")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is no tf.train.Example: a number is too long")


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _one(example: dict[str, list[Any]], key: str) -> Any:
    values = example.get(key)
    return values[0] if values else None


def _input_of(example: dict[str, list[Any]], key: str) -> bytes | None:
    value = _one(example, key)
    if isinstance(value, (int, float)):
        value = str(value).encode()
    return value or None


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """Returns the CRC-32C (Castagnoli) as TFRecord stores it: rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
