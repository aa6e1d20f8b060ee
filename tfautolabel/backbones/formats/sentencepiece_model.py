"""Reads and writes SentencePiece models, for vocabularies from other files.

A model is a protocol buffer with the schema in
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

NORMAL, UNKNOWN, CONTROL = 1, 2, 3
"""Kinds of pieces."""

_UNIGRAM = 1
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_WIRE_VARINT, _WIRE_BYTES, _WIRE_FLOAT = 0, 2, 5


def unigram_model(
    pieces: Sequence[bytes],
    scores: Sequence[float],
    *,
    unknown: int,
    controls: Mapping[str, int],
    normalizer: bytes,
) -> bytes:
    """Returns a unigram model with the given vocabulary.

    Args:
        pieces: n pieces, UTF-8, in the order of their ids.
        scores: n log-probabilities.
        unknown: the id of the unknown piece.
        controls: the ids of "bos", "eos" and, if there is one, "pad".
        normalizer: a normalizer specification, see `normalizer_of` and `normalizer_with`.

    Returns:
        The serialised model.
    """
    kinds = {unknown: UNKNOWN} | dict.fromkeys(controls.values(), CONTROL)
    body = b"".join(
        _bytes(_PIECES, _bytes(1, piece) + _float(2, score) + _number(3, kinds.get(number, NORMAL)))
        for number, (piece, score) in enumerate(zip(pieces, scores, strict=True))
    )
    trainer = _number(3, _UNIGRAM) + _number(40, unknown)
    trainer += b"".join(
        _number(41 + place, controls[name])
        for place, name in enumerate(("bos", "eos", "pad"))
        if name in controls
    )
    return body + _bytes(_TRAINER, trainer) + _bytes(_NORMALIZER, normalizer)


def normalizer_of(model: bytes) -> bytes:
    """Returns the normalizer specification of a serialised model.

    Raises:
        ValueError: If there is none.
    """
    for field, body in _parts(model):
        if field == _NORMALIZER:
            return body
    raise ValueError("a SentencePiece model must hold a normalizer. Received: none")


def normalizer_with(table: bytes) -> bytes:
    """Returns a normalizer specification with a compiled table of character replacements.

    Repeated white space becomes one space. It is removed at both ends, and a space is added before the text.
    This is the default.
    """
    return (
        _bytes(1, b"own") + (_bytes(2, table) if table else b"") + b"".join(_number(n, 1) for n in (3, 4, 5))
    )


def read_pieces(model: bytes) -> list[tuple[str, float]]:
    """Returns the pieces of a serialised model with their scores, in the order of their ids.

    Raises:
        ValueError: If it is not such a model.
    """
    pieces = []
    for field, body in _parts(model):
        if field == _PIECES:
            fields = dict(_fields(body))
            if 1 not in fields or 2 not in fields:
                raise ValueError(
                    "a SentencePiece model's pieces must have a text and a score. Received: one without"
                )
            pieces.append((fields[1].decode("utf-8"), struct.unpack("<f", fields[2])[0]))
    return pieces


def _parts(model: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the fields of a model, which are all messages. Stops at the first other field."""
    place = 0
    while place < len(model):
        key, place = _read(model, place)
        length, place = _read(model, place)
        if key & 7 != _WIRE_BYTES or place + length > len(model):
            return
        yield key >> 3, model[place : place + length]
        place += length


def _fields(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the strings and floats of a message."""
    place = 0
    while place < len(body):
        key, place = _read(body, place)
        kind = key & 7
        if kind == _WIRE_VARINT:
            _, place = _read(body, place)
            continue
        length = 4
        if kind == _WIRE_BYTES:
            length, place = _read(body, place)
        if kind not in (_WIRE_BYTES, _WIRE_FLOAT) or place + length > len(body):
            raise ValueError("a SentencePiece model is damaged")
        yield key >> 3, body[place : place + length]
        place += length


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _bytes(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | _WIRE_BYTES) + _varint(len(body)) + body


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _WIRE_VARINT) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _WIRE_FLOAT) + struct.pack("<f", value)


def _read(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        value |= (data[place] & 127) << shift
        shift += 7
        place += 1
        if data[place - 1] < 128:
            return value, place
    raise ValueError("a SentencePiece model is cut off")
