"""Decodes sound with libsndfile, block by block, to the samples of a WAV file with one channel."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tfautolabel._optional import MissingExtraError, require
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.sound_mixing import ChannelEnergies
from tfautolabel.data.sound_rates import RateLowering, can_lower

_FLAC_SAMPLES = (1 << 36) - 1
"""The bits of a FLAC file's length; the upper 20 bits of the same eight bytes hold the sampling rate."""

MAX_SECONDS = 7200
"""Longer clips are set aside. An exported model decodes a clip as a whole: two hours take gigabytes."""

MAX_DECODED_BYTES = 1 << 30
"""The limit for a decoded file: two hours at all usual rates. A tiny file can declare thousands of hours."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time."""

_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32")
"""Formats whose samples need more than two bytes; OGG and MP3 are clipped as players clip them."""


class _Patch(NamedTuple):
    """Bytes that replace those of the file from a place on."""

    place: int
    content: bytes


class _HeldContent(io.BytesIO):
    """A file in memory. If a damaged file makes libsndfile seek before its start, the position stays."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Does the same as `io.BytesIO.seek`, but never raises."""
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


class _FileContent(io.RawIOBase):
    """An open file with a few other bytes. Like `_HeldContent`, it takes no wrong position."""

    def __init__(self, file: BinaryIO, patch: _Patch | None) -> None:
        self._file, self._patch = file, patch
        self.failure: OSError | None = None

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to a position; stays where it is if there is no such position."""
        try:
            return self._file.seek(offset, whence)
        except (ValueError, OverflowError, OSError):
            return self.tell()

    def readinto(self, buffer: Any) -> int:
        """Reads some bytes and returns how many."""
        place = self._file.tell()
        view = memoryview(buffer).cast("B")
        try:
            piece = self._file.read(len(view))
        except OSError as error:
            # libsndfile cannot pass it on, and would take it for the end of the file.
            self.failure = error
            return 0
        count = len(piece)
        if self._patch is not None:
            piece = _patched(piece, place, self._patch)
        view[:count] = piece
        return count


def _patched(piece: bytes, place: int, patch: _Patch) -> bytes:
    """Returns the bytes of a file from a place on, as the patch changes them."""
    start = max(patch.place, place)
    end = min(patch.place + len(patch.content), place + len(piece))
    if start >= end:
        return piece
    inside = patch.content[start - patch.place : end - patch.place]
    return piece[: start - place] + inside + piece[end - place :]


class SoundContent(NamedTuple):
    """What libsndfile decodes.

    Attributes:
        kind: the format, see `converted_sound`.
        stream: the file's bytes, of which a few may be changed.
        endless: whether the file omits its length, as FLAC written to a pipe does.
    """

    kind: str
    stream: BinaryIO
    endless: bool


def held_content(kind: str, data: bytes) -> SoundContent:
    """Returns what libsndfile decodes of a file in memory.

    Args:
        kind: the format, see `converted_sound`.
        data: the bytes of the file.
    """

    def at(place: int, size: int) -> bytes:
        return data[place : place + size]

    patch = _patch(kind, at, len(data))
    content = data if patch is None else _patched(data, 0, patch)
    return SoundContent(kind, _HeldContent(content), _is_endless(kind, at))


def file_content(kind: str, file: BinaryIO) -> SoundContent:
    """Returns what libsndfile decodes of an open file, which is read as it is needed.

    Args:
        kind: the format, see `converted_sound`.
        file: an open file that can be moved in.
    """

    def at(place: int, size: int) -> bytes:
        file.seek(place)
        return file.read(size)

    patch = _patch(kind, at, file.seek(0, io.SEEK_END))
    endless = _is_endless(kind, at)
    file.seek(0)
    stream: Any = _FileContent(file, patch)
    return SoundContent(kind, stream, endless)


def _is_endless(kind: str, at: Callable[[int, int], bytes]) -> bool:
    """Returns whether a FLAC file's header omits its length, as in files written to a pipe."""
    start = at(0, 26)
    if kind != "FLAC" or len(start) < 26 or start[4] & 0x7F:
        return False
    return not int.from_bytes(start[18:26], "big") & _FLAC_SAMPLES


def _patch(kind: str, at: Callable[[int, int], bytes], length: int) -> _Patch | None:
    """Returns what libsndfile needs changed in a header that does not say how long the sound is."""
    if kind == "CAF":
        return _known_length(at, length)
    if _is_endless(kind, at):
        # The greatest allowed length; decoding still stops at the file's end.
        field = int.from_bytes(at(18, 8), "big")
        longest = MAX_SECONDS * (field >> 44)
        return _Patch(18, (field | min(longest, _FLAC_SAMPLES)).to_bytes(8, "big"))
    return None


def _known_length(at: Callable[[int, int], bytes], length: int) -> _Patch | None:
    """Returns the length of a CAF file's samples if its header says -1 (up to the file's end)."""
    place = 8
    while place + 12 <= length:
        head = at(place, 12)
        size = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data" and size == -1:
            return _Patch(place + 4, (length - place - 12).to_bytes(8, "big"))
        if size < 0:
            break
        place += 12 + size
    return None


class Decoding:
    """A file that is being decoded, once.

    The sound is mixed to one channel and resampled to a lower rate, as the graphs do it.

    Args:
        sound: a `soundfile.SoundFile` at its start.
        content: what is decoded.
        most: the highest sampling rate of the result. A rate with an unusual ratio to it is kept.
        channel: the one channel to take; None to take the mean of all.

    Attributes:
        rate: samples per second of the result.
        width: bytes of a sample of the result: 2 for integers, 4 for floats.
        seconds: the length that the header declares.
        size: bytes of the result as the header declares them.

    Raises:
        ReadFailure: If the clip is too long or too large, or does not declare its length.
    """

    def __init__(self, sound: Any, content: SoundContent, most: int, channel: int | None) -> None:
        self._sound, self._channel, self._endless = sound, channel, content.endless
        self._energies = ChannelEnergies(sound.channels)
        self.rate: int = most if can_lower(sound.samplerate, most) else sound.samplerate
        self.width = 4 if sound.subtype in _WIDE else 2
        self.size = self._checked_size(content.kind)
        self.seconds: float = sound.frames / sound.samplerate

    @property
    def louder(self) -> int | None:
        """Returns, after all pieces, the channel to take instead of the mean; None if the mean is right."""
        return self._energies.louder if self._channel is None else None

    def pieces(self) -> Iterator[bytes]:
        """Yields the samples of the result, some at a time.

        Raises:
            ReadFailure: If the clip is longer than its header could say, and too long.
        """
        sound = self._sound
        if self._endless:
            # soundfile asks for its position after each block, which fails at the end.
            sound.seekable = lambda: False
        lowering = RateLowering(sound.samplerate, self.rate) if self.rate != sound.samplerate else None
        while len(block := sound.read(max(BLOCK_SAMPLES // sound.channels, 1), "float32", always_2d=True)):
            mixed = self._mixed(block)
            yield _packed(mixed if lowering is None else lowering.feed(mixed), self.width)
        if lowering is not None:
            yield _packed(lowering.end(), self.width)
        if self._endless and sound.tell() >= MAX_SECONDS * sound.samplerate:
            raise ReadFailure(f"too long: at most {MAX_SECONDS:,} seconds are read")

    def wav(self) -> bytes:
        """Returns the result as the bytes of a WAV file. No other decoded sound is in memory."""
        wav = io.BytesIO()
        wav.write(self.header(0))
        for piece in self.pieces():
            wav.write(piece)
        size = wav.tell() - len(self.header(0))
        wav.seek(0)
        wav.write(self.header(size))
        return wav.getvalue()

    def header(self, size: int) -> bytes:
        """Returns the header of the result, whose samples have `size` bytes."""
        width, rate = self.width, self.rate
        form = struct.pack("<HHIIHH", 3 if width == 4 else 1, 1, rate, rate * width, width, 8 * width)
        return (
            struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
            + form
            + struct.pack("<4sI", b"data", size)
        )

    def _mixed(self, block: np.ndarray) -> np.ndarray:
        if block.shape[1] == 1:
            return block[:, 0]
        if self._channel is not None:
            return block[:, self._channel]
        mixed: np.ndarray = block.mean(axis=1)
        self._energies.add(block, mixed)
        return mixed

    def _checked_size(self, kind: str) -> int:
        """Returns the size of the result. It trusts the header, as decoding stops at that length."""
        frames, rate = self._sound.frames, self._sound.samplerate
        if frames >= 2**63 - 1:  # libsndfile's value for an unknown length
            raise ReadFailure(f"{kind} sound whose header does not say how long it is; encode it again")
        if frames > MAX_SECONDS * rate:
            raise ReadFailure(
                f"too long: its header declares {frames / rate:,.0f} seconds, "
                f"at most {MAX_SECONDS:,} are read"
            )
        size = -(-frames * self.rate // rate) * self.width
        if size > MAX_DECODED_BYTES:
            raise ReadFailure(
                f"too large: decoded, it has {size:,} bytes, the limit is {MAX_DECODED_BYTES:,}"
            )
        return int(size)


@contextmanager
def decoding(content: SoundContent, most: int, channel: int | None = None) -> Iterator[Decoding]:
    """Opens a file for one decoding; see `Decoding`.

    Args:
        content: `held_content` or `file_content`.
        most: the highest sampling rate of the result.
        channel: the one channel to take; None to take the mean of all.

    Raises:
        ReadFailure: If the sound cannot be decoded, or it is too long. If a package is missing, the reason
            names the command.
        OSError: If the file cannot be read to its end.
    """
    kind = content.kind
    try:
        soundfile = require("soundfile", extra="audio")
    except MissingExtraError as error:
        raise ReadFailure(f"{kind} sound: {error}") from error
    try:
        with soundfile.SoundFile(content.stream) as sound:
            yield Decoding(sound, content, most, channel)
        _check(content)
    except ReadFailure:
        _check(content)
        raise
    # libsndfile raises a RuntimeError; soundfile has assertions that a damaged file may break.
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        _check(content)
        # libsndfile names the object in memory by its address, which changes each time.
        reason = re.sub(r"^Error opening <.*?>: ", "", str(error).strip()).rstrip(".")
        raise ReadFailure(f"damaged {kind} sound: {reason}") from error


def _check(content: SoundContent) -> None:
    """Raises what libsndfile took for the end of the file or for damage, if the file could not be read."""
    if isinstance(content.stream, _FileContent) and content.stream.failure is not None:
        raise content.stream.failure


def _packed(samples: np.ndarray, width: int) -> bytes:
    if width == 2:
        samples = np.clip(np.round(samples * 32768.0), -32768, 32767)
    return samples.astype("<i2" if width == 2 else "<f4", copy=False).tobytes()
