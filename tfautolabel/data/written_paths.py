"""Reads paths as people and tools write them, and tells paths from texts."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit

from tfautolabel.data.addresses import shown
from tfautolabel.data.endings import FILES, ending_of
from tfautolabel.data.readers import READ_THREADS, FileReader

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
    # JPEG, PNG, GIF, TIFF; WebP, WAV and related; FLAC, OGG, AIFF, AU, CAF, W64, NIST SPHERE
    r"/9j/|iVBORw0KGgo|R0lGODlh|R0lGODdh|SUkqA|TU0AK|UklGR|UklGW|UkY2NA|ZkxhQ|T2dnU|Rk9STQA|LnNuZA|ZG5zL|Y2FmZg|"
    # HEIC, AVIF, MP4; Matroska, AMR, WMA; DICOM
    r"cmlmZi6R|TklTVF8xQQ|AAAA[A-Za-z0-9+/]GZ0eX|GkXfo|IyFBTVI|MCaydY5mzxE|A{70}"
)
"""The first characters of media files in base64."""

_BASE64_SHORT_STARTS = re.compile(r"SUQz|//[I-Po-v]|Qk[0-3]")
"""The first characters of MP3 and BMP; as they are short, only long values without spaces count."""

_AROUND = "'\"\u200b\u2060\ufeff\u200e\u200f"
"""Quotes and invisible characters that can surround a copied path."""

_OF_ADDRESSES = str.maketrans("-_", "+/")
"""Maps the two characters that differ in the base64 variant for addresses."""

_LABEL_STUDIO = re.compile(r"^https?://[^/]+/data/(?=upload/|local-files/)")
"""The beginning of an address of Label Studio, before its own paths."""

_UPLOAD = re.compile(r"^(?:[0-9a-f]{8})-(?=.)")


class PathSearch(NamedTuple):
    """Where paths are looked for.

    Attributes:
        words: a description of the place, for messages.
        folder: the folder that paths are relative to, without links.
        free: whether paths may lead out of it.
        endings: endings to add to each path, or to put in place of the same ending in another case; the first
            one that leads to a file counts.
        drop: how many leading parts of each path are left out.
        below: for bare names that lie in several folders below, where each name is found, relative to the
            folder; only a name that is found once leads to a file. None for all other paths.
    """

    words: str
    folder: str
    free: bool = False
    endings: tuple[str, ...] = ("",)
    drop: int = 0
    below: Mapping[str, Sequence[str]] | None = None

    def locate(self, written: str) -> tuple[str | None, bool]:
        """Returns the file that is meant or None, and whether the path leads out although it must not."""
        out = False
        if not _can_be_named(written):
            return None, False
        for path in spellings(written):
            if self.below is not None:
                path = self.below[path][0] if len(self.below.get(path, ())) == 1 else path
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

    def read(self, found: str) -> bytes:
        """Reads a file that `locate` returned.

        Raises:
            ReadFailure: If it cannot be read.
        """
        return self.file(found).read(0)

    def file(self, found: str) -> FileReader:
        """Returns a reader of the one file that `locate` returned."""
        return FileReader(os.path.dirname(found), [os.path.basename(found)])

    def key(self, written: str) -> str:
        """Returns a key that is equal for all spellings of a path, without access to the disk.

        Different paths seldom have the same key.
        """
        if len(written) > MAX_PATH:
            return written
        plain = list(spellings(written))[-1:] or [written]
        return os.path.normpath(os.path.join(self.folder, plain[0].replace("\\", "/")))

    def shown(self, written: str) -> str:
        """Returns what a message may show of a path; see `shown_path`."""
        return shown_path(written)

    @property
    def threads(self) -> int:
        """How many files are best read at once; see `read_rows`."""
        return READ_THREADS


def with_ending(path: str, ending: str) -> str:
    """Returns a path with an ending; it replaces the same ending in another case."""
    plain = path[: -len(ending)] if ending and path.lower().endswith(ending.lower()) else path
    return plain + ending


def _can_be_named(written: str) -> bool:
    """Returns whether a file system can hold this name."""
    if not written.strip() or len(written) > MAX_PATH or "\0" in written:
        return False
    try:
        os.fsencode(written)
    except UnicodeEncodeError:
        return False
    return True


def spellings(written: str) -> Iterator[str]:
    r"""Yields the paths that a value may mean, with `/`, the most literal first.

    Args:
        written: a path; may have back slashes, percent signs or `file://`, or be written by Label Studio.

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
                found += _without_query(host + slash + path)  # "file://images/a.jpg" is a relative path
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
    given = _LABEL_STUDIO.sub("/data/", given)
    if given.startswith("/data/"):
        query = parse_qs(urlsplit(given).query).get("d")
        if query:
            found.append(query[0])
        if given.startswith("/data/upload/"):
            name = given.rpartition("/")[2]
            found += [name, _UPLOAD.sub("", name)]
    queries = [path.partition("?")[0] for path in found if "?" in path]
    found += [path for path in queries if ending_of(path) in FILES]
    found += [unquote(path) for path in found if "%" in path]
    # Disks and tables write "é" as one character or as two.
    found += [normalize(form, path) for path in found if not path.isascii() for form in ("NFC", "NFD")]
    yield from dict.fromkeys(found)


def _without_query(path: str) -> list[str]:
    """Returns a path, and the path without a possible query or fragment: file names hold these marks too."""
    return [path, re.split(r"[?#]", path, maxsplit=1)[0]]


def is_base64(value: str) -> bool:
    """Returns whether a value is a picture or sound in base64, as a data address or alone.

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
    """Decodes a value for which `is_base64` is true.

    Raises:
        ValueError: If it is not valid base64.
    """
    head, comma, rest = value.partition(b",")
    text = b"".join((rest if comma and head.strip().startswith(b"data:") else value).split())
    plain = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def shown_path(written: str) -> str:
    """Returns what a message may show of a path or an address: the query of one may be a signature."""
    kept = shown(written)
    return kept.partition("?")[0] if is_address(kept) else kept


def is_address(value: str) -> bool:
    """Returns whether a value is a network address and not a file's."""
    value = value.strip()
    return _ADDRESS.match(value) is not None and not value.lower().startswith("file:")


def looks_like_path(value: str, named: bool = False) -> bool:
    """Returns whether a value is written like a path or a file name.

    Args:
        value: the text from a table or a list.
        named: whether its column has a name such as "image" or "path"; then any few words count.
    """
    value = value.strip().strip(_AROUND)
    if not value or len(value) > MAX_PATH or "\n" in value or "\0" in value:
        return False
    if ending_of(_plain(value)) in FILES:
        # A sentence may end with a file name; words and marks come before it.
        return len(value.split()) <= 8 or bool(_ABSOLUTE.match(value))
    if is_address(value):
        return True
    if _ABSOLUTE.match(value) and len(value.split()) <= 8:
        return True
    return named and len(value.split()) <= 3 and len(value) <= 200


def _plain(value: str) -> str:
    """Returns a path from which the ending can be read: with `/`, without a query."""
    return value.partition("?")[0].rstrip().replace("\\", "/")
