"""Clips that are too long to be held in memory: they are decoded block by block, each time they are needed.

Such a clip has the key, the samples and the failures of the bytes that `Dataset.read` would give for it.
"""

from __future__ import annotations

import abc
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from tfautolabel.data.readers import ReadFailure, why_not_read
from tfautolabel.data.sound_decoding import BLOCK_SAMPLES, Decoding, decoding, file_content
from tfautolabel.data.sound_files import TooLongToHold, as_wav, kind_to_convert
from tfautolabel.data.sound_mixing import ChannelEnergies
from tfautolabel.data.wav_header import FLOAT, NO_NUMBERS, PCM, WavHeader, is_wav, wav_header
from tfautolabel.data.wav_samples import in_range, samples_of

LONG_SECONDS = 600
"""A longer clip is not held: the graph makes several copies of its samples, of hundreds of megabytes."""

LONG_BYTES = 32 * 1024 * 1024
"""A larger WAV file is not held either, however few seconds it has."""

HELD_FILE = 4 * 1024 * 1024
"""A file of at most so many bytes is read as a whole before one looks at its format."""

_START = 512
"""The first bytes of a file, from which its format is recognised."""

_PIECE = 1 << 20
_PASSES = 3
_CHANGED = "the file changed while it was read"

Opens = Callable[[], BinaryIO]
"""Opens a file, the same one each time; it may raise `ReadFailure`."""


class LongSound(abc.ABC):
    """A clip that is decoded block by block.

    Attributes:
        start: the first bytes of the file.
        header: that of the WAV file that `Dataset.read` would give; None if it would give no WAV file, or one
            that does not say what format its samples have.
        key: the SHA-256 of the bytes that `Dataset.read` would give, 32 bytes.
        held: bytes of memory that the clip takes meanwhile.
    """

    start: bytes
    header: WavHeader | None
    key: bytes
    held: int

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns how many bytes `Dataset.read` would give."""

    @abc.abstractmethod
    def _blocks(self) -> Iterator[np.ndarray]:
        """Does what `blocks` does, without a look at the samples."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Decodes the clip from its start. Only for a clip whose header has no `fault`.

        Yields:
            (t,) float32, the next samples, mixed to one channel; t > 0. Together they are `header.frames`.

        Raises:
            ReadFailure: If a part cannot be decoded or holds samples that are no numbers, or if the file is
                not the one that was there first.
        """
        left = 0 if self.header is None else self.header.frames
        for block in self._blocks():
            if not in_range(block):
                raise ReadFailure(NO_NUMBERS)
            left -= len(block)
            yield block
        if left:
            raise ReadFailure(_CHANGED)


def wav_or_long(
    source: bytes | Opens, most: int, take: Callable[[int], None] = lambda _: None
) -> bytes | LongSound:
    """Returns what `as_wav` gives for a file, or a long clip in its place.

    Args:
        source: the content of a sound file, or what opens the file.
        most: the highest sampling rate of converted sound; see `as_wav`.
        take: is called with the size of a result in bytes before it is made; it may raise to stop.

    Raises:
        ReadFailure: As `as_wav` does, for a long clip too.
    """
    opened = _Opened(source)
    with opened.file() as file:
        start = _up_to(file, 0, _START)
        kind = kind_to_convert(start)
        if kind is None:
            header = _header(file, opened.size) if is_wav(start) else None
            if opened.size > LONG_BYTES or _is_long(header):
                return LongWav(opened, header, start)
        elif not isinstance(source, bytes):
            with decoding(file_content(kind, file), most) as sound:
                declares_more = sound.seconds > LONG_SECONDS
            if declares_more and _is_long((clip := LongConverted(opened, kind, start, most)).header):
                return clip
        if not isinstance(source, bytes):
            take(opened.size)
            return as_wav(_up_to(file, 0, opened.size), most, take)
    try:
        return as_wav(source, most, take, LONG_SECONDS)
    except TooLongToHold as found:
        # A FLAC that was written to a pipe declares the most that is read.
        clip = LongConverted(opened, found.kind, start, most)
        return clip if _is_long(clip.header) else as_wav(source, most, take)


class LongWav(LongSound):
    """A long WAV file, or a large file of an unknown kind, which nobody can read.

    Args:
        opened: the file.
        header: see `LongSound`.
        start: the first bytes of the file.
    """

    def __init__(self, opened: _Opened, header: WavHeader | None, start: bytes) -> None:
        self._opened, self.header, self.start = opened, header, start
        self.held = opened.held
        digest = hashlib.sha256()
        with opened.file() as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        self.key = digest.digest()
        self._channel: int | None = None
        self._is_mixed = header is None or header.channels == 1

    def __len__(self) -> int:
        return self._opened.size

    def _blocks(self) -> Iterator[np.ndarray]:
        if not self._is_mixed:
            # Only the whole clip shows whether its channels cancel.
            energies = ChannelEnergies(self._found.channels)
            for block in self._channels():
                energies.add(block, block.mean(axis=1))
            self._channel, self._is_mixed = energies.louder, True
        for block in self._channels():
            yield block.mean(axis=1) if self._channel is None else block[:, self._channel]

    def _channels(self) -> Iterator[np.ndarray]:
        """Yields (t, channels) float32, the next samples."""
        header = self._found
        at_once = max(BLOCK_SAMPLES // header.channels, 1)
        with self._opened.file() as file:
            file.seek(header.start)
            for first in range(0, header.frames, at_once):
                raw = _exactly(file, min(at_once, header.frames - first) * header.frame)
                yield samples_of(raw, header.tag, header.bits).reshape(-1, header.channels)

    @property
    def _found(self) -> WavHeader:
        if self.header is None:
            raise ReadFailure(NO_NUMBERS)
        return self.header


class LongConverted(LongSound):
    """A long clip of another format, which is converted to WAV while it is read.

    It is decoded once to learn its key, and again each time its samples are needed.

    Args:
        opened: the file.
        kind: its format, see `converted_sound`.
        start: the first bytes of the file.
        most: see `as_wav`.

    Raises:
        ReadFailure: As `as_wav` does.
    """

    def __init__(self, opened: _Opened, kind: str, start: bytes, most: int) -> None:
        self._opened, self._kind, self._most, self.start = opened, kind, most, start
        self.held = opened.held
        self._channel: int | None = None
        self._scan()

    def __len__(self) -> int:
        return self._length

    def _scan(self) -> None:
        """Finds the key, the length and the channel to take."""
        declared: int | None = None
        for _ in range(_PASSES):
            with self._decoding() as sound:
                declared = sound.size if declared is None else declared
                start = sound.header(declared)
                digest, size = hashlib.sha256(start), 0
                for piece in sound.pieces():
                    digest.update(piece)
                    size += len(piece)
                self.key, self._length = digest.digest(), len(start) + size
                tag = PCM if sound.width == 2 else FLOAT
                self.header = WavHeader(tag, 1, sound.rate, 8 * sound.width, len(start), size)
            # Both are rare: channels that cancel, and a header that is wrong about the length.
            if sound.louder is None and size == declared:
                return
            self._channel = sound.louder if self._channel is None else self._channel
            declared = size
        raise ReadFailure(_CHANGED)

    @contextmanager
    def _decoding(self) -> Iterator[Decoding]:
        with (
            self._opened.file() as file,
            decoding(file_content(self._kind, file), self._most, self._channel) as sound,
        ):
            yield sound

    def _blocks(self) -> Iterator[np.ndarray]:
        with self._decoding() as sound:
            for piece in sound.pieces():
                if piece:
                    yield samples_of(piece, PCM if sound.width == 2 else FLOAT, 8 * sound.width)


class _Opened:
    """A file that is opened several times and must stay as it was.

    Args:
        source: the content of the file, or what opens it.
    """

    def __init__(self, source: bytes | Opens) -> None:
        self._open: Opens = (lambda: io.BytesIO(source)) if isinstance(source, bytes) else source
        self.held = len(source) if isinstance(source, bytes) else 0
        self._mark: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Returns the bytes of the file, once it was open."""
        return self._mark[0] if self._mark else 0

    @contextmanager
    def file(self) -> Iterator[BinaryIO]:
        """Opens the file at its start.

        Raises:
            ReadFailure: If it cannot be read, or is not as it was when it was opened for the first time.
        """
        try:
            with self._open() as file:
                self._mark = self._mark or _mark(file)
                self._check(file)
                yield file
                self._check(file)
        except OSError as error:
            raise ReadFailure(why_not_read(error)) from error

    def _check(self, file: BinaryIO) -> None:
        if _mark(file) != self._mark:
            raise ReadFailure(_CHANGED)


def _mark(file: BinaryIO) -> tuple[int, ...]:
    """Returns the size of an open file, and what changes with its content or if another one is there."""
    if isinstance(file, io.BytesIO):
        return (len(file.getbuffer()),)
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _header(file: BinaryIO, length: int) -> WavHeader | None:
    return wav_header(lambda place, size: _up_to(file, place, size), length)


def _is_long(header: WavHeader | None) -> bool:
    return header is not None and header.size > LONG_SECONDS * header.rate * max(header.frame, 1)


def _up_to(file: BinaryIO, place: int, size: int) -> bytes:
    """Returns the bytes from a place on, as many as asked for or as the file has."""
    file.seek(place)
    pieces = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _exactly(file: BinaryIO, size: int) -> bytes:
    """Returns the next bytes of a file that has them."""
    found = _up_to(file, file.tell(), size)
    if len(found) != size:
        raise ReadFailure(_CHANGED)
    return found
