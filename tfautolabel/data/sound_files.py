"""Sound of other kinds than WAV turned into WAV when it is read: the graphs know WAV only.

FLAC, OGG, MP3, AIFF, AU, CAF, W64, big-endian WAV, NIST SPHERE and VOC, through the extra `audio`.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tfautolabel._optional import MissingExtraError, require
from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.sound_mixing import ChannelEnergies
from tfautolabel.data.sound_rates import RateLowering, can_lower

SPHERE = b"NIST_1A\n   1024\n"
CONVERTED = (
    (b"fLaC", "FLAC"),
    (b"OggS", "OGG"),
    (b"ID3", "MP3"),
    (b".snd", "AU"),
    (b"dns.", "AU"),
    (b"caff", "CAF"),
    (b"riff.\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\0\0", "W64"),
    (b"RIFX", "big-endian WAV"),
    (SPHERE, "NIST SPHERE"),
    (b"Creative Voice File\x1a", "VOC"),
)
"""How files begin; an MP3 without tags begins with a frame's sync bits instead."""

_FLAC_SAMPLES = (1 << 36) - 1
"""The bits of a FLAC file's length; the sampling rate stands in the 20 upper bits of the same eight bytes."""

READ_RATE = 16_000
"""Converted sound has at most so many samples a second, unless a backbone takes more: no default one does."""

MAX_SECONDS = 7200
"""Longer clips are set aside: decoded, two hours are half a gigabyte."""

MAX_DECODED_BYTES = 1 << 30
"""What a file may become, at most: two hours at all usual rates. A few kilobytes can declare thousands."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time."""

_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32")
"""What two bytes a sample cannot hold; of OGG and MP3, which promise no more, they clip what players clip."""


class _Content(io.BytesIO):
    """A file in memory. Damaged ones send libsndfile to before the beginning: then it stays where it is."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """As `io.BytesIO.seek`, but without an error."""
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def converted_sound(data: bytes) -> str | None:
    """The name of the format that a file's first bytes show, if it is turned into WAV; else None.

    Args:
        data: the bytes of a file, or at least the first few hundred.
    """
    for magic, name in CONVERTED:
        if data.startswith(magic):
            return name if foreign_media(data) is None else None
    if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    # Eleven set bits, then a version and a layer that are not the reserved ones; not the mark of UTF-16.
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] != 0xFE
    return "MP3" if is_frame and data[1] & 0x18 != 0x08 and data[1] & 0x06 != 0 else None


def as_wav(data: bytes, most: int = READ_RATE, take: Callable[[int], None] = lambda _: None) -> bytes:
    """The sound of a file as WAV bytes; WAV, and what is no sound, is returned as it is.

    It is decoded block by block, mixed to one channel and brought down to a lower rate, as the graphs would,
    so that no more than the result is in memory, and nothing at all of a file that declares more than is
    read. The same file gives the same bytes, by which its features are found again.

    Args:
        data: the content of a sound file.
        most: samples a second of the result, where the file has more. Rates in an unusual ratio to it stay.
        take: told how many bytes the result will have, before any is decoded; may raise to stop that.

    Raises:
        ReadFailure: If it is of a kind that is not read, cannot be decoded, or is too long; the reason names
            the command that installs what is missing or converts the file, if that is why.
    """
    kind = converted_sound(data)
    if kind is None:
        if (foreign := foreign_media(data)) is not None:
            raise ReadFailure(foreign.reason)
        return data
    try:
        soundfile = require("soundfile", extra="audio")
    except MissingExtraError as error:
        raise ReadFailure(f"{kind} sound: {error}") from error
    if kind == "CAF":
        data = _of_known_length(data)
    endless = kind == "FLAC" and _is_stream(data)
    if endless:
        data = _of_the_most_samples(data)
    try:
        with soundfile.SoundFile(_Content(data)) as sound:
            take(_checked_size(sound, most, kind))
            longest = MAX_SECONDS * sound.samplerate
            energies = ChannelEnergies(sound.channels)
            wav = _decoded(sound, most, energies, straight_on=endless)
            if endless and sound.tell() >= longest:
                raise ReadFailure(f"too long: at most {MAX_SECONDS:,} seconds are read")
        if energies.louder is None:
            return wav
        # Seldom: only the whole clip shows that its channels cancel.
        with soundfile.SoundFile(_Content(data)) as sound:
            return _decoded(sound, most, energies.louder, straight_on=endless)
    except ReadFailure:
        raise
    # libsndfile's error is a RuntimeError; soundfile asserts what a damaged file may break.
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        # libsndfile names the object in memory, by an address that is another one each time.
        reason = re.sub(r"^Error opening <.*?>: ", "", str(error).strip()).rstrip(".")
        raise ReadFailure(f"damaged {kind} sound: {reason}") from error


def _is_stream(data: bytes) -> bool:
    """Whether a FLAC file says that it does not know its length, as one that was written to a pipe does."""
    return len(data) >= 26 and data[4] & 0x7F == 0 and not int.from_bytes(data[18:26], "big") & _FLAC_SAMPLES


def _of_known_length(data: bytes) -> bytes:
    """The same CAF file with the length of its samples, where it says -1: to the end of the file."""
    place = 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 12], "big", signed=True)
        if data[place : place + 4] == b"data" and size == -1:
            length = (len(data) - place - 12).to_bytes(8, "big")
            return data[: place + 4] + length + data[place + 12 :]
        if size < 0:
            break
        place += 12 + size
    return data


def _of_the_most_samples(data: bytes) -> bytes:
    """The same FLAC file with the most samples that are read as its length: decoding ends where it ends."""
    field = int.from_bytes(data[18:26], "big")
    longest = MAX_SECONDS * (field >> 44)
    return data[:18] + (field | min(longest, _FLAC_SAMPLES)).to_bytes(8, "big") + data[26:]


def _decoded(sound: Any, most: int, mixing: ChannelEnergies | int, straight_on: bool) -> bytes:
    """The rest of an open file as WAV.

    Args:
        sound: a `soundfile.SoundFile`.
        most: samples a second.
        mixing: takes the energies while the channels' mean is made; or the one channel to take.
        straight_on: Do not let soundfile look for its place after each block, which fails behind the end.
    """
    if straight_on:
        sound.seekable = lambda: False
    width, rate = _width(sound), _rate(sound, most)
    lowering = RateLowering(sound.samplerate, rate) if rate != sound.samplerate else None
    wav = io.BytesIO()
    wav.write(_header(rate, width, 0))
    while len(block := sound.read(max(BLOCK_SAMPLES // sound.channels, 1), "float32", always_2d=True)):
        if sound.channels == 1:
            mixed = block[:, 0]
        elif isinstance(mixing, int):
            mixed = block[:, mixing]
        else:
            mixed = block.mean(axis=1)
            mixing.add(block, mixed)
        wav.write(_packed(mixed if lowering is None else lowering.feed(mixed), width))
    if lowering is not None:
        wav.write(_packed(lowering.end(), width))
    held = wav.tell()
    wav.seek(0)
    wav.write(_header(rate, width, held - len(_header(0, width, 0))))
    return wav.getvalue()


def _packed(samples: np.ndarray, width: int) -> bytes:
    if width == 2:
        samples = np.clip(np.round(samples * 32768.0), -32768, 32767)
    return samples.astype("<i2" if width == 2 else "<f4", copy=False).tobytes()


def _width(sound: Any) -> int:
    """Bytes a sample of the result."""
    return 4 if sound.subtype in _WIDE else 2


def _rate(sound: Any, most: int) -> int:
    """Samples a second of the result."""
    return most if can_lower(sound.samplerate, most) else sound.samplerate


def _checked_size(sound: Any, most: int, kind: str) -> int:
    """Bytes of the result. Believes the header: nothing behind the end that it declares is decoded.

    Raises:
        ReadFailure: If the clip is too long, or does not say how long it is.
    """
    frames, rate = sound.frames, sound.samplerate
    if frames >= 2**63 - 1:  # libsndfile's word for it
        raise ReadFailure(f"{kind} sound whose header does not say how long it is; encode it again")
    if frames > MAX_SECONDS * rate:
        raise ReadFailure(
            f"too long: its header declares {frames / rate:,.0f} seconds, at most {MAX_SECONDS:,} are read"
        )
    size = -(-frames * _rate(sound, most) // rate) * _width(sound)
    if size > MAX_DECODED_BYTES:
        raise ReadFailure(f"too large: decoded, it has {size:,} bytes, the limit is {MAX_DECODED_BYTES:,}")
    return int(size)


def _header(rate: int, width: int, size: int) -> bytes:
    """The head of a WAV file of one channel, 16-bit or float samples; `size` is that of the samples."""
    form = struct.pack("<HHIIHH", 3 if width == 4 else 1, 1, rate, rate * width, width, 8 * width)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", size)
    )
