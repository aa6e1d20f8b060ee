"""Unpacks an untrusted archive into a folder, and writes nothing anywhere else."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any

FREE_BYTES = 256 * 1024 * 1024
MAX_RATIO = 50
"""An archive may unpack to `FREE_BYTES` bytes, and beyond them to this many for each received byte.

Weights hardly shrink (a factor of 1.1, sparse tables up to about 10). A decompression bomb grows a
thousandfold.
"""

MAX_MEMBERS = 10_000

_CHUNK = 1024 * 1024
_GZIP = b"\x1f\x8b"


def unpack(stream: IO[bytes], folder: Path, expected: int | None = None) -> None:
    """Unpacks a tar archive, gzipped or not, as it arrives.

    It creates only files and folders, always below `folder`. It refuses links, devices, sparse files,
    absolute names, names with "..", and duplicate files. It ignores owners and permissions.

    Args:
        stream: the archive's bytes, read with `read`.
        folder: an empty folder. After an error it holds the files that came before.
        expected: the number of bytes, if it is known.

    Raises:
        ValueError: If the archive is damaged, incomplete, too large, or has a member that is not allowed; The
            message is a clause without a full stop.
        OSError: If a file cannot be written or the stream breaks.
    """
    arriving = _Arriving(stream)
    try:
        start = arriving.peek(len(_GZIP))
        packed: Any = arriving
        if start == _GZIP:
            packed = gzip.GzipFile(fileobj=packed, mode="rb")
        content = _Bounded(packed, arriving)
        _take_members(content, folder)
        while content.read(_CHUNK):
            """The checksum is at the archive's end."""
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        arrived = f"{arriving.count:,} bytes arrived"
        raise ValueError(f"what came is no complete tar archive ({arrived}; {error})") from error
    while arriving.read(_CHUNK):
        """Bytes after a plain archive's end count for the length."""
    if expected is not None and arriving.count != expected:
        raise ValueError(f"the connection ended after {arriving.count:,} of {expected:,} bytes")


def _take_members(content: _Bounded, folder: Path) -> None:
    with tarfile.open(fileobj=content, mode="r|") as archive:  # type: ignore[call-overload]
        for number, member in enumerate(archive):
            if number >= MAX_MEMBERS:
                raise ValueError(f"the archive has more than {MAX_MEMBERS:,} members")
            target = folder.joinpath(*_safe_parts(member.name))
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if not member.isreg() or member.issparse():
                raise ValueError(f"the archive's member {member.name!r} is neither a file nor a folder")
            source = archive.extractfile(member)
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x" refuses a second member of the same name.
            with open(target, "xb") as file:
                while source is not None and (chunk := source.read(_CHUNK)):
                    file.write(chunk)


def _safe_parts(name: str) -> list[str]:
    """Returns the parts of a member's name. They must stay below the folder on every operating system."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.search(r"[\\:\x00]", name):
        raise ValueError(f"the archive's member {name!r} would be written outside of its folder")
    return parts


class _Arriving:
    """Counts the received bytes, and can look ahead."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead

    def read(self, size: int = _CHUNK) -> bytes:
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            piece = self._stream.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self.count += len(piece)
        return piece


class _Bounded:
    """Reads the unpacked bytes with a limit per received byte, a few at a time."""

    def __init__(self, packed: Any, arriving: _Arriving) -> None:
        self._packed = packed
        self._arriving = arriving
        self._count = 0

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0 and (piece := self._packed.read(min(size, _CHUNK))):
            self._count += len(piece)
            if self._count > FREE_BYTES + MAX_RATIO * self._arriving.count:
                raise ValueError(
                    f"the archive unpacks to more than {MAX_RATIO} times its size, "
                    "as a decompression bomb does"
                )
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)
