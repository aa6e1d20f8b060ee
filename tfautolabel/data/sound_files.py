"""FLAC, OGG and MP3 turned into WAV when they are read: the graphs know WAV only."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from tfautolabel._optional import MissingExtraError, require
from tfautolabel.data.readers import ReadFailure

COMPRESSED = ((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3"))
"""How compressed sound files begin; an MP3 without tags begins with a frame's sync bits instead."""

MAX_SECONDS = 7200
"""Longer clips are set aside: decoded, two hours are half a gigabyte."""

MAX_DECODED_BYTES = 1 << 30
"""What a file may become, at most: two hours at all usual rates. A few kilobytes can declare thousands."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time."""

_WIDE = ("PCM_24", "PCM_32")
"""What two bytes a sample cannot hold; of OGG and MP3, which promise no more, they clip what players clip."""


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

    It is decoded block by block and mixed to one channel, as the graphs would, so that no more than the
    result is in memory, and nothing at all of a file that declares more than is read. The same file gives the
    same bytes, by which its features are found again.

    Args:
        data: the content of a sound file.

    Raises:
        ReadFailure: If it is compressed and cannot be read, or is too long; the reason names the command that
            installs what is missing, if that is why.
    """
    kind = compressed_kind(data)
    if kind is None:
        return data
    try:
        soundfile = require("soundfile", extra="audio")
    except MissingExtraError as error:
        raise ReadFailure(f"{kind} sound: {error}") from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            return _decoded(sound, kind)
    except ReadFailure:
        raise
    # libsndfile's error is a RuntimeError; soundfile asserts what a damaged file may break.
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise ReadFailure(f"damaged {kind} sound: {str(error).strip().rstrip('.')}") from error


def _decoded(sound: Any, kind: str) -> bytes:
    width = 4 if sound.subtype in _WIDE else 2
    _check_length(sound.frames, sound.samplerate, width, kind)
    wav = io.BytesIO()
    wav.write(_header(sound.samplerate, width, 0))
    while len(block := sound.read(max(BLOCK_SAMPLES // sound.channels, 1), "float32", always_2d=True)):
        mixed = block.mean(axis=1) if sound.channels > 1 else block[:, 0]
        if width == 2:
            mixed = np.clip(np.round(mixed * 32768.0), -32768, 32767).astype("<i2")
        wav.write(mixed.astype(f"<{'i2' if width == 2 else 'f4'}", copy=False).tobytes())
    held = wav.tell()
    wav.seek(0)
    wav.write(_header(sound.samplerate, width, held - len(_header(0, width, 0))))
    return wav.getvalue()


def _check_length(frames: int, rate: int, width: int, kind: str) -> None:
    """Believes the header: nothing behind the end that it declares is decoded.

    Raises:
        ReadFailure: If the clip is too long, or does not say how long it is.
    """
    if frames >= 2**63 - 1:  # libsndfile's word for it
        raise ReadFailure(f"{kind} sound whose header does not say how long it is; encode it again")
    if frames > MAX_SECONDS * rate:
        raise ReadFailure(
            f"too long: its header declares {frames / rate:,.0f} seconds, at most {MAX_SECONDS:,} are read"
        )
    if frames * width > MAX_DECODED_BYTES:
        raise ReadFailure(
            f"too large: decoded, it has {frames * width:,} bytes, the limit is {MAX_DECODED_BYTES:,}"
        )


def _header(rate: int, width: int, size: int) -> bytes:
    """The head of a WAV file of one channel, 16-bit or float samples; `size` is that of the samples."""
    form = struct.pack("<HHIIHH", 3 if width == 4 else 1, 1, rate, rate * width, width, 8 * width)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", size)
    )
