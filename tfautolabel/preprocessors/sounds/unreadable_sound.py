"""Explains why a sound file could not be read, without decoding it."""

from __future__ import annotations

import struct

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.sound_files import MAX_SECONDS, converted_sound
from tfautolabel.preprocessors.sounds.riff import (
    EXTENSIBLE,
    KINDS,
    KNOWN_CHUNKS,
    MAX_CHANNELS,
    MAX_CHUNKS,
    MAX_RATE,
    MIN_RATE,
)

_VALID = "valid are WAV and, with the extra audio, FLAC, OGG, MP3, AIFF, AU, CAF and W64"


def why_no_clip(encoded: bytes, max_seconds: int = MAX_SECONDS) -> str:
    """Says in one line why bytes that did not decode are not a readable clip.

    Args:
        encoded: the bytes of the file.
        max_seconds: the length limit of the decoder.

    Examples:
        >>> why_no_clip(b"")
        'empty file'
        >>> why_no_clip(b"RIFF....WAVEdata")
        'damaged WAV: it does not say what format its samples have'
    """
    if not encoded:
        return "empty file"
    if (foreign := foreign_media(encoded)) is not None:
        return foreign.reason
    if (kind := converted_sound(encoded)) is not None:
        return f"not a sound file that a model reads: {kind}, which is converted when a data set is read"
    if encoded[:4] not in (b"RIFF", b"RF64") or encoded[8:12] != b"WAVE":
        return f"not a sound file; {_VALID}"
    form, data = _find_chunks(encoded)
    if form is None or len(form) < 16:
        return "damaged WAV: it does not say what format its samples have"
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack_from("<H", form, 24)[0]
    if (tag, bits) not in KINDS:
        return f"WAV of format {tag} with {bits} bits a sample; valid are PCM, float, A-law and mu-law"
    if not 1 <= channels <= MAX_CHANNELS or not MIN_RATE <= rate <= MAX_RATE:
        return f"damaged WAV: {channels} channels at {rate:,} samples a second"
    frame = channels * bits // 8
    if data is None or data < frame:
        return "WAV without any samples"
    if data // frame > max_seconds * rate:
        return f"too long: {data // frame / rate:,.0f} seconds, at most {max_seconds:,} are read"
    return "WAV with samples that are no numbers"


def _find_chunks(encoded: bytes) -> tuple[bytes | None, int | None]:
    """Returns the format chunk and the number of sample bytes, with the same search as `decode_wav`."""
    form, data, place = None, None, 12
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(encoded) or (form is not None and data is not None):
            break
        claimed, left = int.from_bytes(encoded[place + 4 : place + 8], "little"), len(encoded) - place - 8
        name = encoded[place : place + 4]
        unfinished = name == b"data" and data is None and not claimed
        whole = int.from_bytes(encoded[4:8], "little")
        unfinished &= whole <= place or whole + 8 > len(encoded)
        held = left if unfinished else min(claimed, left)
        if name == b"fmt " and form is None and held >= 16:
            form = encoded[place + 8 : place + 8 + held]
        if name == b"data" and data is None:
            data = held
        end = place + 8 + held
        place = end if encoded[end : end + 4] in KNOWN_CHUNKS else end + held % 2
    return form, data
