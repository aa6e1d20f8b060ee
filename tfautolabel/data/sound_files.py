"""Converts sound of other formats into WAV when it is read: the graphs can decode only WAV.

The formats are FLAC, OGG, MP3, AIFF, AU, CAF, W64, big-endian WAV, NIST SPHERE and VOC; the extra `audio`
reads them.
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
"""The first bytes of the formats; an MP3 without tags begins with the sync bits of a frame instead."""

_FLAC_SAMPLES = (1 << 36) - 1
"""The bits of a FLAC file's length; the upper 20 bits of the same eight bytes hold the sampling rate."""

READ_RATE = 16_000
"""The highest sampling rate of converted sound, unless a backbone takes more; no default one does."""

MAX_SECONDS = 7200
"""Longer clips are set aside: two hours of decoded sound take half a gigabyte."""

MAX_DECODED_BYTES = 1 << 30
"""The limit for a decoded file: two hours at all usual rates. A tiny file can declare thousands of hours."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time."""

_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32")
"""Formats whose samples need more than two bytes; OGG and MP3 are clipped as players clip them."""


class _Content(io.BytesIO):
    """A file in memory. If a damaged file makes libsndfile seek before its start, the position stays."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Does the same as `io.BytesIO.seek`, but never raises."""
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def converted_sound(data: bytes) -> str | None:
    """Returns the format that a file's first bytes show if it is converted to WAV, else None.

    Args:
        data: the bytes of a file, or at least the first few hundred.
    """
    for magic, name in CONVERTED:
        if data.startswith(magic):
            return name if foreign_media(data) is None else None
    if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    # Eleven set bits, then valid version and layer bits; not the byte order mark of UTF-16.
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] != 0xFE
    return "MP3" if is_frame and data[1] & 0x18 != 0x08 and data[1] & 0x06 != 0 else None


def as_wav(data: bytes, most: int = READ_RATE, take: Callable[[int], None] = lambda _: None) -> bytes:
    """Returns the sound of a file as WAV bytes; WAV and everything unknown stay as they are.

    The sound is decoded block by block, mixed to one channel and resampled to a lower rate, as the graphs do
    it. No other decoded sound is in memory. A file that declares more than the limits is not decoded at all.
    The same file always gives the same bytes, so that its cached features are found again.

    Args:
        data: the content of a sound file.
        most: the highest sampling rate of the result. A rate with an unusual ratio to it is kept.
        take: is called with the size of the result in bytes before decoding; it may raise to stop.

    Raises:
        ReadFailure: If the format is not read, the sound cannot be decoded, or it is too long. If a package
            is missing or the file must be converted, the reason names the command.
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
        # This is rare: only the whole clip shows that its channels cancel.
        with soundfile.SoundFile(_Content(data)) as sound:
            return _decoded(sound, most, energies.louder, straight_on=endless)
    except ReadFailure:
        raise
    # libsndfile raises a RuntimeError; soundfile has assertions that a damaged file may break.
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        # libsndfile names the object in memory by its address, which changes each time.
        reason = re.sub(r"^Error opening <.*?>: ", "", str(error).strip()).rstrip(".")
        raise ReadFailure(f"damaged {kind} sound: {reason}") from error


def _is_stream(data: bytes) -> bool:
    """Returns whether a FLAC file's header omits its length, as in files written to a pipe."""
    return len(data) >= 26 and data[4] & 0x7F == 0 and not int.from_bytes(data[18:26], "big") & _FLAC_SAMPLES


def _of_known_length(data: bytes) -> bytes:
    """Writes the length of a CAF file's samples into its header if it says -1 (up to the file's end)."""
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
    """Writes the greatest allowed length into a FLAC header; decoding still stops at the file's end."""
    field = int.from_bytes(data[18:26], "big")
    longest = MAX_SECONDS * (field >> 44)
    return data[:18] + (field | min(longest, _FLAC_SAMPLES)).to_bytes(8, "big") + data[26:]


def _decoded(sound: Any, most: int, mixing: ChannelEnergies | int, straight_on: bool) -> bytes:
    """Decodes the rest of an open file to WAV.

    Args:
        sound: a `soundfile.SoundFile`.
        most: the highest sampling rate of the result.
        mixing: collects the channels' energies while their mean is computed; or the one channel to take.
        straight_on: Keep soundfile from asking for its position after each block, which fails at the end.
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
    """Returns the bytes per sample of the result."""
    return 4 if sound.subtype in _WIDE else 2


def _rate(sound: Any, most: int) -> int:
    """Returns the sampling rate of the result."""
    return most if can_lower(sound.samplerate, most) else sound.samplerate


def _checked_size(sound: Any, most: int, kind: str) -> int:
    """Returns the size of the result in bytes. It trusts the header, as decoding stops at that length.

    Raises:
        ReadFailure: If the clip is too long or too large, or does not declare its length.
    """
    frames, rate = sound.frames, sound.samplerate
    if frames >= 2**63 - 1:  # libsndfile's value for an unknown length
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
    """Returns the WAV header for one channel of 16-bit or float samples; `size` is the samples' size."""
    form = struct.pack("<HHIIHH", 3 if width == 4 else 1, 1, rate, rate * width, width, 8 * width)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", size)
    )
