"""Converts sound of other formats into WAV when it is read: the graphs can decode only WAV.

The formats are FLAC, OGG, MP3, AIFF, AU, CAF, W64, big-endian WAV, NIST SPHERE and VOC; the extra `audio`
reads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.sound_decoding import decoding, held_content

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

READ_RATE = 16_000
"""The highest sampling rate of converted sound, unless a backbone takes more; no default one does."""


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


def kind_to_convert(start: bytes) -> str | None:
    """Returns the format of a file that is converted to WAV; None for WAV and everything unknown.

    Args:
        start: the bytes of a file, or at least the first few hundred.

    Raises:
        ReadFailure: If it is sound or video of a format that is not read.
    """
    kind = converted_sound(start)
    if kind is None and (foreign := foreign_media(start)) is not None:
        raise ReadFailure(foreign.reason)
    return kind


class TooLongToHold(Exception):  # noqa: N818 - a signal that the clip must be read in another way
    """The clip has more seconds than may be held.

    Args:
        kind: its format.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def as_wav(
    data: bytes,
    most: int = READ_RATE,
    take: Callable[[int], None] = lambda _: None,
    max_held: float = math.inf,
) -> bytes:
    """Returns the sound of a file as WAV bytes; WAV and everything unknown stay as they are.

    The sound is decoded block by block, mixed to one channel and resampled to a lower rate, as the graphs do
    it. No other decoded sound is in memory. A file that declares more than the limits is not decoded at all.
    The same file always gives the same bytes, so that its cached features are found again.

    Args:
        data: the content of a sound file.
        most: the highest sampling rate of the result. A rate with an unusual ratio to it is kept.
        take: is called with the size of the result in bytes before decoding; it may raise to stop.
        max_held: the most seconds that may be decoded.

    Raises:
        TooLongToHold: If sound of another format than WAV has more than `max_held` seconds.
        ReadFailure: If the format is not read, the sound cannot be decoded, or it is too long. If a package
            is missing or the file must be converted, the reason names the command.
    """
    kind = kind_to_convert(data)
    if kind is None:
        return data
    with decoding(held_content(kind, data), most) as sound:
        if sound.seconds > max_held:
            raise TooLongToHold(kind)
        take(sound.size)
        wav = sound.wav()
    if (channel := sound.louder) is None:
        return wav
    # This is rare: only the whole clip shows that its channels cancel.
    with decoding(held_content(kind, data), most, channel) as sound:
        return sound.wav()
