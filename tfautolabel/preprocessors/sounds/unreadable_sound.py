"""Explains why a sound file could not be read, without decoding it."""

from __future__ import annotations

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.sound_decoding import MAX_SECONDS
from tfautolabel.data.sound_files import converted_sound
from tfautolabel.data.wav_header import NO_NUMBERS, WavHeader, is_wav, wav_header

_VALID = "valid are WAV and, with the extra audio, FLAC, OGG, MP3, AIFF, AU, CAF and W64"


def why_no_clip(encoded: bytes | LongSound, max_seconds: int = MAX_SECONDS) -> str:
    """Says in one line why bytes that did not decode are not a readable clip.

    Args:
        encoded: the bytes of the file, or a long clip.
        max_seconds: the length limit of the decoder.

    Examples:
        >>> why_no_clip(b"")
        'empty file'
        >>> why_no_clip(b"RIFF....WAVEdata")
        'damaged WAV: it does not say what format its samples have'
    """
    if not encoded:
        return "empty file"
    if not isinstance(encoded, bytes):
        return _of_header(encoded.start, encoded.header, max_seconds)
    if (foreign := foreign_media(encoded)) is not None:
        return foreign.reason
    if (kind := converted_sound(encoded)) is not None:
        return f"not a sound file that a model reads: {kind}, which is converted when a data set is read"
    header = wav_header(lambda place, size: encoded[place : place + size], len(encoded))
    return _of_header(encoded, header, max_seconds)


def _of_header(start: bytes, header: WavHeader | None, max_seconds: int) -> str:
    if header is not None and (is_wav(start) or converted_sound(start) is not None):
        return header.fault(max_seconds) or NO_NUMBERS
    if is_wav(start):
        return "damaged WAV: it does not say what format its samples have"
    return f"not a sound file; {_VALID}"
