"""Finds the samples in a WAV file from its header, and says what is wrong with a file that is not read.

The format is described in https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html. The graph
does the same search in preprocessors/sounds/riff.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
KINDS = ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64), (A_LAW, 8), (MU_LAW, 8))
"""Format and bits per sample of all supported kinds."""

MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768_000

MAX_CHUNKS = 1000
"""The most chunks to search. A file can consist of millions of empty chunks."""

KNOWN_CHUNKS = (
    b"fmt ", b"data", b"LIST", b"fact", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"cue ", b"plst",
    b"smpl", b"inst", b"acid", b"PEAK", b"id3 ", b"ID3 ", b"iXML", b"axml", b"cart", b"DISP", b"ds64",
    b"note", b"labl", b"_PMX", b"strc", b"afsp", b"minf", b"elm1", b"regn", b"umid", b"levl", b"chna",
    b"LGWV", b"ResU",
)  # fmt: skip
"""Names that identify a chunk that does not begin at an even position."""


NO_NUMBERS = "WAV with samples that are no numbers"
"""Why a file is not read whose header is right."""


class WavHeader(NamedTuple):
    """What a WAV file says of its samples.

    Attributes:
        tag: the format, such as `PCM`.
        channels: the number of channels.
        rate: samples per second of one channel.
        bits: bits of a sample.
        start: where the samples begin, in bytes from the file's start.
        size: bytes of all samples; 0 if the file has none.
    """

    tag: int
    channels: int
    rate: int
    bits: int
    start: int
    size: int

    @property
    def frame(self) -> int:
        """Returns the bytes that the samples of all channels at one time have."""
        return self.channels * self.bits // 8

    @property
    def frames(self) -> int:
        """Returns how many samples each channel has. Only for a header without `fault`."""
        return self.size // self.frame

    def fault(self, max_seconds: int) -> str | None:
        """Says in one line why such samples are not read, or returns None.

        Args:
            max_seconds: the length limit.
        """
        if (self.tag, self.bits) not in KINDS:
            return (
                f"WAV of format {self.tag} with {self.bits} bits a sample; "
                "valid are PCM, float, A-law and mu-law"
            )
        if not 1 <= self.channels <= MAX_CHANNELS or not MIN_RATE <= self.rate <= MAX_RATE:
            return f"damaged WAV: {self.channels} channels at {self.rate:,} samples a second"
        if self.size < self.frame:
            return "WAV without any samples"
        if self.frames > max_seconds * self.rate:
            return f"too long: {self.frames / self.rate:,.0f} seconds, at most {max_seconds:,} are read"
        return None


def is_wav(start: bytes) -> bool:
    """Returns whether a file with these first twelve bytes is a WAV file."""
    return start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE"


def wav_header(at: Callable[[int, int], bytes], length: int) -> WavHeader | None:
    """Reads the header of a WAV file.

    Args:
        at: returns the bytes from a place on, as many as asked for or as the file has.
        length: the length of the file in bytes.

    Returns:
        None if the file does not say what format its samples have.
    """
    form, data, held_data, place = None, None, 0, 12
    whole = int.from_bytes(at(4, 4), "little")
    for _ in range(MAX_CHUNKS):
        if place + 8 > length or (form is not None and data is not None):
            break
        head = at(place, 8)
        name, claimed, left = head[:4], int.from_bytes(head[4:], "little"), length - place - 8
        unfinished = name == b"data" and data is None and not claimed
        # An interrupted recorder, or one that wrote to a pipe, leaves a length of all ones, or a length of
        # zero and an impossible file length. Then the actual number of bytes is used.
        unfinished &= whole <= place or whole + 8 > length
        held = left if unfinished else min(claimed, left)
        if name == b"fmt " and form is None and held >= 16:
            form = place + 8
        if name == b"data" and data is None:
            data, held_data = place + 8, held
        end = place + 8 + held
        # Some writers omit the padding byte after an odd length. The next chunk's name shows this.
        place = end if at(end, 4) in KNOWN_CHUNKS else end + held % 2
    if form is None:
        return None
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", at(form, 16))
    longer = at(form + 24, 2)
    if tag == EXTENSIBLE and len(longer) == 2:
        tag = struct.unpack("<H", longer)[0]
    return WavHeader(tag, channels, rate, bits, -1 if data is None else data, held_data)
