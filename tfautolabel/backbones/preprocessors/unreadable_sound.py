"""Why a sound file could not be read, found without decoding it."""

from __future__ import annotations

import struct

from tfautolabel.backbones.preprocessors.riff import (
    EXTENSIBLE,
    KINDS,
    MAX_CHANNELS,
    MAX_CHUNKS,
    MAX_RATE,
    MIN_RATE,
)
from tfautolabel.data.sound_files import MAX_SECONDS


def why_no_clip(encoded: bytes, max_seconds: int = MAX_SECONDS) -> str:
    """Says in one line why bytes that did not decode are not a clip that is read.

    Args:
        encoded: the bytes of the file.
        max_seconds: the limit that decoding was held to.

    Examples:
        >>> why_no_clip(b"")
        'empty file'
        >>> why_no_clip(b"RIFF....WAVEdata")
        'damaged WAV: it does not say what format its samples have'
    """
    if not encoded:
        return "empty file"
    if encoded[:4] not in (b"RIFF", b"RF64") or encoded[8:12] != b"WAVE":
        return "not a sound file; valid are WAV and, with the extra audio, FLAC, OGG and MP3"
    form, data = _find_chunks(encoded)
    if form is None or len(form) < 16:
        return "damaged WAV: it does not say what format its samples have"
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack_from("<H", form, 24)[0]
    if (kind, bits) not in KINDS:
        return f"WAV of format {kind} with {bits} bits a sample; valid are PCM, float, A-law and mu-law"
    if not 1 <= channels <= MAX_CHANNELS or not MIN_RATE <= rate <= MAX_RATE:
        return f"damaged WAV: {channels} channels at {rate:,} samples a second"
    frame = channels * bits // 8
    if data is None or data < frame:
        return "WAV without any samples"
    if data // frame > max_seconds * rate:
        return f"too long: {data // frame / rate:,.0f} seconds, at most {max_seconds:,} are read"
    return "WAV with samples that are no numbers"


def _find_chunks(encoded: bytes) -> tuple[bytes | None, int | None]:
    """The format chunk, and how many bytes of samples there are, found as `decode_wav` does."""
    form, data, place = None, None, 12
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(encoded) or (form is not None and data is not None):
            break
        claimed, left = int.from_bytes(encoded[place + 4 : place + 8], "little"), len(encoded) - place - 8
        name = encoded[place : place + 4]
        unfinished = name == b"data" and data is None and not claimed
        unfinished &= int.from_bytes(encoded[4:8], "little") <= place
        held = left if unfinished else min(claimed, left)
        if name == b"fmt " and form is None and held >= 16:
            form = encoded[place + 8 : place + 8 + held]
        if name == b"data" and data is None:
            data = held
        place += 8 + held + held % 2
    return form, data
