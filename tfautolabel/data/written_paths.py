"""How people and their tools write paths, and how to tell a path from a text."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit

from tfautolabel.data.endings import FILES, ending_of

MAX_PATH = 4096

_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]{1,15}://\S+$|(?:www\.|//[\w-]+\.[\w.-]+/)\S+$|"
    r"(?:https?|s3|gs|gcs|wasbs?|abfss?|hdfs|ftp|az|dbfs)://\S.*$",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"([A-Za-z]:[\\/]|\\\\[^\\\s]|~[\\/]|\.{1,2}[\\/]|/[^/\s]+/|file:/|\$\{?\w+\}?[\\/]|%\w+%[\\/])"
)
_DATA_ADDRESS = re.compile(r"data:[a-z]+/[a-z0-9.+-]+(;[a-z0-9=-]+)*;base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]+[=\s]*")
_BASE64_STARTS = re.compile(
    # JPEG, PNG, GIF, TIFF; WebP, WAV and its kin; FLAC, OGG, AIFF, AU, CAF, W64, NIST SPHERE
    r"/9j/|iVBORw0KGgo|R0lGODlh|R0lGODdh|SUkqA|TU0AK|UklGR|UklGW|UkY2NA|ZkxhQ|T2dnU|Rk9STQA|LnNuZA|ZG5zL|Y2FmZg|"
    # HEIC, AVIF, MP4; Matroska, AMR, WMA; DICOM
    r"cmlmZi6R|TklTVF8xQQ|AAAA[A-Za-z0-9+/]GZ0eX|GkXfo|IyFBTVI|MCaydY5mzxE|A{70}"
)
"""How files begin in base64."""

_BASE64_SHORT_STARTS = re.compile(r"SUQz|//[I-Po-v]|Qk[0-3]")
"""How MP3 and BMP begin, so short that only long values without any space count."""

_AROUND = "'\"\u200b\u2060\ufeff\u200e\u200f"
"""Quotes and what nobody sees, which get around a path when it is copied."""

_OF_ADDRESSES = str.maketrans("-_", "+/")
"""The two marks that stand for others in base64 that is fit for addresses."""

_UPLOAD = re.compile(r"^(?:[0-9a-f]{8})-(?=.)")


class Place(NamedTuple):
    """Where paths are looked for.

    Attributes:
        words: the place in words, for messages.
        folder: what paths are relative to, without links.
        free: whether they may lead out of it.
        endings: what is put behind each, or in place of the same ending in other letters; the first that
            leads to a file counts.
        drop: how many parts at the beginning are left out.
    """

    words: str
    folder: str
    free: bool = False
    endings: tuple[str, ...] = ("",)
    drop: int = 0

    def locate(self, written: str) -> tuple[str | None, bool]:
        """The file that is meant, or None; and whether the path leads out where it must not."""
        out = False
        if not _can_be_named(written):
            return None, False
        for path in spellings(written):
            if self.drop:
                path = "/".join(path.split("/")[self.drop :])
            path = os.path.expandvars(os.path.expanduser(path)) if path[:1] in ("~", "$") else path
            for ending in self.endings:
                real = os.path.realpath(os.path.join(self.folder, with_ending(path, ending)))
                if not self.free and not real.startswith(os.path.join(self.folder, "")):
                    out = True
                elif os.path.isfile(real):
                    return real, False
        return None, out


def with_ending(path: str, ending: str) -> str:
    """A path with an ending, which takes the place of the same one in other letters."""
    plain = path[: -len(ending)] if ending and path.lower().endswith(ending.lower()) else path
    return plain + ending


def _can_be_named(written: str) -> bool:
    """Whether a file system can hold such a name."""
    if not written.strip() or len(written) > MAX_PATH or "\0" in written:
        return False
    try:
        os.fsencode(written)
    except UnicodeEncodeError:
        return False
    return True


def spellings(written: str) -> Iterator[str]:
    r"""The paths that a value may mean, with `/`, the most literal first.

    Args:
        written: a path; with back slashes, percent signs, `file://`, or as Label Studio writes it.

    Examples:
        >>> list(spellings("file:///data/img%201.jpg"))
        ['/data/img%201.jpg', '/data/img 1.jpg']
        >>> list(spellings(".\\a\\b.png"))
        ['./a/b.png', '.\\a\\b.png']
    """
    given = written.strip().strip(_AROUND)
    found: list[str] = []
    if given.lower().startswith("file:"):
        rest = given.replace("\\", "/")[len("file:") :]
        if rest.startswith("//"):
            host, slash, path = rest[2:].partition("/")
            keeps = host in (".", "..", "~")
            if not keeps and host.lower() not in ("", "localhost", "127.0.0.1"):
                found += _without_query(host + slash + path)  # "file://images/a.jpg" is meant as relative
                host = f"/{host}"
            elif not keeps:
                host = ""
            rest = host + slash + path
        found += _without_query(rest[1:] if re.match(r"/[A-Za-z]:/", rest) else rest)
    else:
        if "\\" in given:
            found.append(given.replace("\\", "/"))
        found.append(given)
        if given != written.strip():
            found.insert(0, written.strip())
    if given.startswith("/data/"):
        query = parse_qs(urlsplit(given).query).get("d")
        if query:
            found.append(query[0])
        if given.startswith("/data/upload/"):
            name = given.rpartition("/")[2]
            found += [name, _UPLOAD.sub("", name)]
    found += [unquote(path) for path in found if "%" in path]
    # Disks and tables write "é" as one character or as two.
    found += [normalize(form, path) for path in found if not path.isascii() for form in ("NFC", "NFD")]
    yield from dict.fromkeys(found)


def _without_query(path: str) -> list[str]:
    """A path, and the same without what may be a query or a part: marks that stand in names too."""
    return [path, re.split(r"[?#]", path, maxsplit=1)[0]]


def is_base64(value: str) -> bool:
    """Whether a value is a picture's or a sound's bytes in base64, as a data address or alone.

    Examples:
        >>> is_base64("iVBORw0KGgoAAAANSUhEUgAAAAE="), is_base64("/9j/")
        (True, False)
    """
    start = value[:100].strip()
    if _DATA_ADDRESS.match(start):
        return True
    start = start.translate(_OF_ADDRESSES)
    if len(value) <= 20 or _BASE64.fullmatch(start) is None:
        return False
    return _BASE64_STARTS.match(start) is not None or (
        len(start) > 90 and _BASE64_SHORT_STARTS.match(start) is not None
    )


def from_base64(value: bytes) -> bytes:
    """The bytes that a value of which `is_base64` is true holds.

    Raises:
        ValueError: If it is not valid base64.
    """
    head, comma, rest = value.partition(b",")
    text = b"".join((rest if comma and head.strip().startswith(b"data:") else value).split())
    plain = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def is_address(value: str) -> bool:
    """Whether a value is an address on a network, not a file's."""
    value = value.strip()
    return _ADDRESS.match(value) is not None and not value.lower().startswith("file:")


def looks_like_path(value: str, named: bool = False) -> bool:
    """Whether a value is written as a path or a file's name.

    Args:
        value: as it stands in a table or a list.
        named: whether it stands under a name such as "image" or "path": then any few words will do.
    """
    value = value.strip().strip(_AROUND)
    if not value or len(value) > MAX_PATH or "\n" in value or "\0" in value:
        return False
    if ending_of(_plain(value)) in FILES:
        # A sentence may end in a file's name; it has words and marks before.
        return len(value.split()) <= 8 or bool(_ABSOLUTE.match(value))
    if is_address(value):
        return True
    if _ABSOLUTE.match(value) and len(value.split()) <= 8:
        return True
    return named and len(value.split()) <= 3 and len(value) <= 200


def _plain(value: str) -> str:
    """A path as it may be asked for its ending: with `/`, without a query."""
    return value.partition("?")[0].rstrip().replace("\\", "/")
