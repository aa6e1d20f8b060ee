"""Gives a table's text as UTF-8 with line feeds: the file itself, or a converted copy."""

from __future__ import annotations

import codecs
import os
import re
import tempfile
import unicodedata
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from tfautolabel.data.encoded_text import other_encoding

CHUNK = 1 << 20
WESTERN = "cp1252"

_HIGH_RUN = re.compile(rb"[\x80-\xff]{3,}")
# Letters of other code pages that are signs or capitals in this one, where no word holds them.
_NO_WORD = re.compile(
    rb"(?<=[A-Za-z])[\x80-\x8b\x8d\x8f-\x91\x93-\x95\x98\x99\x9b\x9d\xa2\xa4\xa7-\xa9\xab-\xae\xb0-\xb3\xb5\xb6"
    rb"\xb8\xbb\xbd](?=[A-Za-z])|(?<=[A-Za-z])[\x83\x88\x98\xa1\xa3\xa5\xa6\xaf\xb9\xbc\xbe\xbf]|"
    rb"(?<=[a-z])[\x8a\x8c\x8e\x9f](?=[a-z])"
)
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_ESCAPED = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")

# In double-byte code pages, whole words are pairs of such bytes (many of them are no letters here), or such
# signs stand within words. Guillemets, the no-break space, one repeated sign, and signs at word ends do not
# count.
_PAIRS = re.compile(
    rb"(?<![A-Za-z\x80-\xff])(?=[\xab-\xff]*[\xa2-\xaa\xac-\xba\xbc-\xbe])"
    rb"(?:(?!([\x80-\xff])\1)[\xa2-\xaa\xac-\xff]{2})+(?![A-Za-z\x80-\xff])|"
    rb"[A-Za-z\xc0-\xff][\xa2-\xa9\xac\xae-\xb3\xb5\xb6\xb8\xb9\xbc-\xbe][\xc0-\xff]|"
    rb"[\xc0-\xff][\xa2-\xa9\xac\xae-\xb3\xb5\xb6\xb8\xb9\xbc-\xbe][A-Za-z]"
)
_WORDS = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")

HOW_TO_SAY = "another encoding is named by encoding=… (--encoding)"


class TextFile(NamedTuple):
    """The place of a table's readable text.

    Attributes:
        path: the file to open, in UTF-8 except for damaged places; lines end in line feeds.
        name: the file that was given, for messages.
        notes: sentences that say what was understood.
        copy: the object that keeps a temporary copy alive, if there is one.
    """

    path: str
    name: str
    notes: tuple[str, ...] = ()
    copy: Any = None


class TemporaryCopy:
    """A temporary file that is deleted when nothing refers to this object any more.

    Args:
        suffix: the ending of its name.
    """

    def __init__(self, suffix: str = ".table") -> None:
        descriptor, self.name = tempfile.mkstemp(suffix, "tfautolabel-")
        self._file = os.fdopen(descriptor, "wb")
        self._gone = weakref.finalize(self, _remove, self._file, self.name)

    def write(self, data: bytes) -> None:
        """Adds bytes."""
        self._file.write(data)

    def finish(self) -> None:
        """Closes the file, so that its whole content can be read by its name."""
        self._file.close()


def _remove(file: Any, name: str) -> None:
    file.close()
    with suppress(OSError):
        os.unlink(name)


class _Found(NamedTuple):
    """The results of one pass over a file's bytes."""

    good: int  # characters beyond ASCII that are valid UTF-8
    bad: int  # bytes that are not
    mostly_bad: bool  # whether most lines beyond ASCII hold such bytes
    line_feeds: bool
    returns: bool
    first_bad: tuple[int, int]  # line, byte


def open_text(path: str, encoding: str | None = None, shown: str | None = None) -> TextFile:
    """Detects a file's encoding, and copies it to a temporary UTF-8 file if it has another one.

    Args:
        path: the file.
        encoding: Python's name of the encoding, or None to detect it: UTF-8; UTF-16 and UTF-32 by their byte
            order mark or their zeros; else Western European (cp1252), if the whole file reads like that.
        shown: the name of the file in messages; its path by default.

    Raises:
        ValueError: If the encoding is unknown, wrong for the file, or cannot be detected.
    """
    shown = shown or path
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    wide = other_encoding(start) or wide_encoding(start)
    notes: tuple[str, ...] = ()
    if encoding is not None:
        try:
            chosen = codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError(f"encoding must be one that Python knows. Received: {encoding!r}") from error
        return _copied(path, chosen, (), shown, is_text=chosen not in ("utf-8", "utf-8-sig"))
    if wide is not None:
        notes = () if other_encoding(start) else (f"{shown}: was read as {wide}; {HOW_TO_SAY}",)
        return _copied(path, wide, notes, shown)
    found = _look(path)
    other = found.bad > 0 and found.mostly_bad
    if other:
        _check_western(path, found, shown)
        notes = (f"{shown}: is not UTF-8 and was read as Western European text ({WESTERN}); {HOW_TO_SAY}",)
    returns_only = found.returns and not found.line_feeds
    if not other and not returns_only:
        return TextFile(path, shown)
    return _copied(path, WESTERN if other else "utf-8", notes, shown, returns_only, is_text=bool(other))


def wide_encoding(start: bytes) -> str | None:
    r"""Detects UTF-16 without a byte order mark by the zeros beside ASCII characters; else None.

    Examples:
        >>> wide_encoding("text,label\n".encode("utf-16-le")), wide_encoding(b"text,label\n")
        ('utf-16-le', None)
    """
    start = start[:4096]
    even, odd = start[0::2].count(0), start[1::2].count(0)
    for name, there, elsewhere in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if there > 10 * elsewhere and there * 8 > len(start):
            return name
        if there > 2 * elsewhere and _reads_as(start, name):
            return name
    return None


def _reads_as(start: bytes, encoding: str) -> bool:
    """Returns whether bytes decode to usual characters and line ends, also if UTF-16 has few zeros."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start)
    odd = {"Cc", "Cn", "Co", "Cs"}
    strange = sum(unicodedata.category(c) in odd and c not in "\t\r\n\ufeff" for c in text) + text.count(
        "\ufffd"
    )
    return not strange and ("\n" in text or "\r" in text)


def is_binary(start: bytes) -> bool:
    """Returns whether a file's first bytes are no text in any supported encoding."""
    if other_encoding(start) or wide_encoding(start) or not start:
        return False
    zeros = start.count(0)
    controls = len(re.findall(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]", start))
    return zeros * 10 > len(start) or controls * 20 > len(start)


def _look(path: str) -> _Found:
    good = bad = lines = beyond = broken_lines = 0
    line_feeds = returns = False
    first_bad = (0, 0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for chunk in _chunks(path):
        line_feeds = line_feeds or b"\n" in chunk
        returns = returns or b"\r" in chunk
        if not chunk.isascii() or decoder.getstate()[0]:
            text = decoder.decode(chunk)
            wrong = _ESCAPED.search(text)
            if wrong and not bad:
                first_bad = lines + text.count("\n", 0, wrong.start()) + 1, ord(wrong[0]) - 0xDC00
            broken = len(_ESCAPED.findall(text)) if wrong else 0
            bad += broken
            if broken:
                pieces = [line for line in text.split("\n") if not line.isascii()]
                beyond += len(pieces)
                broken_lines += sum(_ESCAPED.search(line) is not None for line in pieces)
            else:
                beyond += sum(not line.isascii() for line in text.split("\n"))
            good += len(_BEYOND_ASCII.findall(text)) - broken
        lines += chunk.count(b"\n")
    bad += len(decoder.decode(b"", True))
    return _Found(good, bad, broken_lines * 2 > beyond, line_feeds, returns, first_bad)


def _check_western(path: str, found: _Found, shown: str) -> None:
    """Refuses files that are more likely Cyrillic, Greek, Polish, Chinese, … or from DOS or an old Mac."""
    high = runs = signs = pairs = words = 0
    undefined = False
    for chunk in _chunks(path):
        if chunk.isascii():
            continue
        high += sum(map(len, re.findall(rb"[\x80-\xff]+", chunk)))
        runs += sum(map(len, _HIGH_RUN.findall(chunk)))
        signs += len(_NO_WORD.findall(chunk))
        pairs += sum(1 for _ in _PAIRS.finditer(chunk))
        words += sum(1 for _ in _WORDS.finditer(chunk))
        undefined = undefined or _UNDEFINED.search(chunk) is not None
    # Bytes that are valid UTF-8 by chance are frequent in Chinese and Japanese, rare in Western text.
    if undefined or found.good * 4 >= found.bad or runs * 4 > high or signs * 4 >= high or pairs * 2 > words:
        line, byte = found.first_bad
        raise ValueError(
            f"{shown}: must be UTF-8. Received: byte 0x{byte:02x} in line {line}, and the whole does not "
            f"read as "
            f"Western European text either; save the file as UTF-8 (in Excel: CSV UTF-8), or name its "
            f"encoding "
            f"with encoding=… (--encoding)"
        )


def _copied(
    path: str,
    encoding: str,
    notes: tuple[str, ...],
    shown: str,
    returns_only: bool = False,
    is_text: bool = True,
) -> TextFile:
    """Makes a temporary copy in UTF-8 with line feeds; it is deleted when nothing needs it any more."""
    if encoding.lower() in ("utf-16", "utf-32"):
        encoding = encoding.lower()
    copy = TemporaryCopy()
    decoder = codecs.getincrementaldecoder(encoding)("strict" if is_text else "surrogateescape")
    returns = line_feeds = False
    try:
        for chunk in _ended(_chunks(path)):
            text = decoder.decode(chunk, not chunk)
            returns, line_feeds = returns or "\r" in text, line_feeds or "\n" in text
            if returns_only:
                text = text.replace("\r", "\n")
            copy.write(text.encode("utf-8", "surrogateescape" if not is_text else "replace"))
    except UnicodeError as error:
        raise ValueError(
            f"{shown}: is not valid {encoding} ({getattr(error, 'reason', error)}); {HOW_TO_SAY}"
        ) from error
    copy.finish()
    if returns and not line_feeds and not returns_only:
        return _copied(copy.name, "utf-8", notes, shown, returns_only=True, is_text=False)
    return TextFile(copy.name, shown, notes, copy)


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _ended(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b""
