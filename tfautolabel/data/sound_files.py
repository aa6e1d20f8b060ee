"""FLAC, OGG and MP3 turned into WAV when they are read: the graphs know WAV only."""

from __future__ import annotations

import io

from tfautolabel._optional import MissingExtraError, require
from tfautolabel.data.readers import ReadFailure

COMPRESSED = ((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3"))
"""How compressed sound files begin; an MP3 without tags begins with a frame's sync bits instead."""


def compressed_kind(data: bytes) -> str | None:
    """The name of the compressed format that a file's first bytes show, or None."""
    for magic, name in COMPRESSED:
        if data.startswith(magic):
            return name
    # Eleven set bits, then a version and a layer that are not the reserved ones.
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    return "MP3" if is_frame and data[1] & 0x18 != 0x08 and data[1] & 0x06 != 0 else None


def as_wav(data: bytes) -> bytes:
    """The sound of a file as WAV bytes; anything that is not compressed is returned as it is.

    Args:
        data: the content of a sound file.

    Raises:
        ReadFailure: If it is compressed and cannot be read; the reason names the command that installs what
            is missing, if that is why.
    """
    kind = compressed_kind(data)
    if kind is None:
        return data
    try:
        soundfile = require("soundfile", extra="audio")
    except MissingExtraError as error:
        raise ReadFailure(f"{kind} sound: {error}") from error
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (RuntimeError, ValueError, TypeError) as error:  # libsndfile's error is a RuntimeError
        raise ReadFailure(f"damaged {kind} sound: {str(error).strip().rstrip('.')}") from error
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, format="WAV", subtype="FLOAT")
    return wav.getvalue()
