"""Recognises pictures, sound and text by their content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.picture_files import converted_kind
from tfautolabel.data.sound_files import SPHERE, converted_sound

MODALITIES = ("image", "text", "audio")
"""The possible modalities of a data set."""

PLURALS = {"image": "pictures", "text": "texts", "audio": "sound clips"}
"""The plural of each modality for messages."""

SAMPLE = 20
"""How many examples are looked at."""

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
_TELLING = 1 << 16
_TEXT_CONTROLS = frozenset(b"\t\n\x0b\x0c\r\x1b")


def modality_of(data: bytes) -> str | None:
    r"""Returns the modality of one example, or None if it is unknown.

    Args:
        data: the bytes of a file or of a field, or at least the first few hundred. Sound and video that
            cannot be read is "audio" too.

    Examples:
        >>> modality_of(b"RIFF\x00\x00\x00\x00WAVE"), modality_of(b"It was late."), modality_of(b"\x00\x01")
        ('audio', 'text', None)
    """
    if data.startswith((b"RIFF", b"RIFX", b"RF64")):
        return "image" if data[8:12] == b"WEBP" else "audio"
    if converted_kind(data) is not None:
        return "image"
    if data.startswith(SPHERE):  # its header is text
        return "audio"
    # Before the short marks of other formats, since a text can begin with them too: "BMW", "ID3".
    if data and _is_text(data):
        return "text"
    if data.startswith(_PICTURES):
        return "image"
    is_sound = converted_sound(data) is not None or foreign_media(data) is not None
    return "audio" if is_sound else None


def telling_part(data: bytes) -> bytes:
    """Returns the part of an example that is kept to recognise it: of sound, only the beginning.

    Args:
        data: the bytes of a file; pictures are kept whole, since their value range is checked too.
    """
    return data if len(data) <= _TELLING or modality_of(data[:4096]) == "image" else data[:_TELLING]


def recognise_modality(samples: Iterable[bytes]) -> str | None:
    """Returns the modality of most of some examples, or None if none of them is recognised.

    Sound and video that cannot be read counts only if there is no picture or readable sound: films often lie
    among photographs.
    """
    found: Counter[str] = Counter()
    foreign = 0
    for data in samples:
        kind = modality_of(data)
        if kind == "audio" and foreign_media(data) is not None:
            foreign += 1
        elif kind is not None:
            found[kind] += 1
    if foreign > found["text"] and not found["image"] and not found["audio"]:
        return "audio"
    return found.most_common(1)[0][0] if found.total() else None


def _is_text(data: bytes) -> bool:
    start = data[:4096]
    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in start):
        return False
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        # The end of the sample may cut a character.
        return len(start) == 4096 and error.start > len(start) - 4
    return True
