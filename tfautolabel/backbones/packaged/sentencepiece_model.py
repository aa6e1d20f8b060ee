"""Writes SentencePiece models, for vocabularies that come in other files.

A model is a protocol buffer of the kind in
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

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
    """A unigram model with a vocabulary of one's own.

    Args:
        pieces: n pieces, UTF-8, in the order of their ids.
        scores: n log-probabilities.
        unknown: the id of the unknown piece.
        controls: the ids of "bos", "eos" and "pad".
        normalizer: a normalizer specification, see `normalizer_of`.

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
        _number(41 + place, controls[name]) for place, name in enumerate(("bos", "eos", "pad"))
    )
    return body + _bytes(_TRAINER, trainer) + _bytes(_NORMALIZER, normalizer)


def normalizer_of(model: bytes) -> bytes:
    """The normalizer specification of a serialised model.

    Raises:
        ValueError: If there is none.
    """
    place = 0
    while place < len(model):
        key, place = _read(model, place)
        length, place = _read(model, place)
        if key & 7 != _WIRE_BYTES or place + length > len(model):
            break
        if key >> 3 == _NORMALIZER:
            return model[place : place + length]
        place += length
    raise ValueError("a SentencePiece model must hold a normalizer. Received: none")


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
