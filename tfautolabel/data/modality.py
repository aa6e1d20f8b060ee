"""What data is, told by its content: pictures, sound or text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.picture_files import converted_kind
from tfautolabel.data.sound_files import SPHERE, converted_sound

MODALITIES = ("image", "text", "audio")
"""What the inputs of a data set can be."""

PLURALS = {"image": "pictures", "text": "texts", "audio": "sound clips"}
"""What many of them are called in messages."""

SAMPLE = 20
"""How many examples are looked at."""

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
_TELLING = 1 << 16
_TEXT_CONTROLS = frozenset(b"\t\n\x0b\x0c\r\x1b")


def modality_of(data: bytes) -> str | None:
    r"""The modality of one example, or None if it is none of them.

    Args:
        data: the bytes of a file or of a field, or at least the first few hundred. Sound and video that is
            not read is "audio" too.

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
    # Before the short marks of other formats, with which a text can begin too: "BMW", "ID3".
    if data and _is_text(data):
        return "text"
    if data.startswith(_PICTURES):
        return "image"
    is_sound = converted_sound(data) is not None or foreign_media(data) is not None
    return "audio" if is_sound else None


def telling_part(data: bytes) -> bytes:
    """What is kept of an example that is looked at: an hour of sound is told by its beginning.

    Args:
        data: the bytes of a file; of pictures all of them are kept, since their range is looked at too.
    """
    return data if len(data) <= _TELLING or modality_of(data[:4096]) == "image" else data[:_TELLING]


def recognise_modality(samples: Iterable[bytes]) -> str | None:
    """The modality of most of some examples, or None if none of them tells.

    Sound and video that is not read counts only where no picture or sound is: films lie among photographs.
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
        # A character may have been cut at the end of what is looked at.
        return len(start) == 4096 and error.start > len(start) - 4
    return True
