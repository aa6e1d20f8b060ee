"""Reads addresses of files and folders in stores, and tells them from local paths."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfautolabel.data.places import Place
from tfautolabel.data.stores import SCHEMES

_WRITTEN = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?!/)", re.IGNORECASE)
_NOWHERE = re.compile(rf"({'|'.join(SCHEMES)}):/{{3,}}", re.IGNORECASE)
_SIGNATURES = re.compile(
    r"x-(amz|goog|ms)-.*|awsaccesskeyid|googleaccessid|signature|expires|sig|se|sp|sv|sr|st|spr|sip|ss|srt|"
    r"sk(oid|tid|t|e|s|v)|response-.*",
    re.IGNORECASE,
)
"""Names in the queries of signed addresses, as S3, Google Cloud Storage and Azure sign them."""


def is_remote(value: object) -> bool:
    """Returns whether a value is a place in a remote store, or written as the address of one.

    Examples:
        >>> is_remote("s3://bucket/photos"), is_remote(Path("s3://bucket/photos")), is_remote("photos")
        (True, True, False)
    """
    if isinstance(value, Place):
        return True
    return isinstance(value, (str, os.PathLike)) and _WRITTEN.match(os.fspath(value)) is not None


def shown(written: str) -> str:
    """Returns what may be shown of a text that may be an address: no query, nothing of a refused one.

    Examples:
        >>> shown("s3://bucket/1.jpg?X-Amz-Signature=1b2c"), shown("s3://key:secret@bucket/1.jpg")
        ('s3://bucket/1.jpg', 's3://…')
    """
    if _NOWHERE.match(written.strip()):
        return f"{written.strip().partition(':')[0]}://…"
    if not is_remote(written.strip()):
        return written
    try:
        return place_at(written.strip()).address
    except ValueError:
        return f"{written.strip().partition(':')[0]}://…"


def place_of(value: str | os.PathLike[str] | Place) -> Path | Place:
    """Returns the place that an address names, or the local path.

    Raises:
        ValueError: If it is an address that cannot be used.
    """
    if isinstance(value, Place):
        return value
    return place_at(os.fspath(value)) if is_remote(value) else Path(value)


def place_at(address: str) -> Place:
    """Reads an address; asks nothing of the network.

    The signature of a signed address is left out. Names with "?" and "=" can be read through their folder.

    Args:
        address: SCHEME://BUCKET/PATH. A percent sign is a percent sign, as in the stores' own tools.

    Raises:
        ValueError: If it names a key or password, no bucket, or what cannot be read by an address. The
            message never shows what may be secret.

    Examples:
        >>> place_at("s3://bucket/photos/?X-Amz-Signature=1b2c")
        Place('s3://bucket/photos')
    """
    found = _WRITTEN.match(address)
    if found is None:
        raise ValueError(f"an address begins with one of {', '.join(f'{name}://' for name in SCHEMES)}")
    scheme, rest = found[1].lower(), address[found.end() :]
    before, _, query = rest.partition("?")
    if names := [part.partition("=")[0] for part in query.split("&") if "=" in part]:
        if others := [name for name in names if not _SIGNATURES.fullmatch(name)]:
            raise ValueError(
                f"an address is SCHEME://BUCKET/PATH without a query; credentials, the region and the "
                f"endpoint come from the environment. Received: {scheme}:// with {', '.join(others[:5])}"
            )
        rest = before
    host, _, key = rest.partition("/")
    _check_host(scheme, host)
    key = key.rstrip("/")
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        raise ValueError(
            f"an address has no empty parts and none called . or .. in it. Received: {scheme}://{host}/{key}"
        )
    return Place(f"{scheme}://{host}/{key}" if key else f"{scheme}://{host}")


def _check_host(scheme: str, host: str) -> None:
    user, at, bucket = host.rpartition("@")
    # With Azure's schemes the container stands before the account, and HDFS knows users by name.
    named = bool(at) and scheme not in ("abfs", "abfss", "hdfs")
    port = bucket.partition(":")[2]
    if ":" in user or named or (":" in bucket and not (scheme == "hdfs" and port.isdecimal())):
        raise ValueError(
            f"an address holds no keys and no password: credentials come from the environment, as for the "
            f"store's own tools. Received: one of {scheme}:// with something before its bucket"
        )
    if not bucket and scheme != "hdfs":
        raise ValueError(f"an address is SCHEME://BUCKET/PATH. Received: {scheme}:// without a bucket")


def check_words(words: Iterable[str]) -> None:
    """Refuses addresses among the words of a command that hold keys, before a message could show them.

    Raises:
        ValueError: If there is an address that cannot be used.
    """
    for word in words:
        for part in (word, word.partition("=")[2]):
            if is_remote(part):
                place_at(part)


def in_full(value: str | os.PathLike[str] | Place) -> str:
    """Returns a path in full or an address, as records name it."""
    place = place_of(value)
    return place.address if isinstance(place, Place) else os.path.abspath(place)


def local_folder(folder: str | os.PathLike[str]) -> Path:
    """Returns the path of a folder for results.

    Raises:
        ValueError: If it is an address: only here do many files take their places in one step.
    """
    return _local(folder, "a folder of results")


def local_file(file: str | os.PathLike[str]) -> Path:
    """Returns the path of a file to write.

    Raises:
        ValueError: If it is an address.
    """
    return _local(file, "this file")


def _local(value: str | os.PathLike[str], what: str) -> Path:
    if is_remote(value):
        raise ValueError(
            f"{what} is written on this machine; copy it to the store afterwards. Received: "
            f"{shown(os.fspath(value))}"
        )
    return Path(value)


def is_within(one: str | os.PathLike[str] | Place, folder: str | os.PathLike[str] | Place) -> bool:
    """Returns whether a place is a folder or lies in it, also through links."""
    one, folder = place_of(one), place_of(folder)
    if isinstance(one, Place) or isinstance(folder, Place):
        return isinstance(one, Place) and isinstance(folder, Place) and folder.contains(one)
    return Path(os.path.realpath(one)).is_relative_to(os.path.realpath(folder))


@contextlib.contextmanager
def opened(file: Path | Place) -> Iterator[Any]:
    """Gives what pyarrow reads a file from: its path, or the open file of a store.

    Raises:
        FileNotFoundError: If a file in a store does not exist.
        OSError: If it cannot be read.
    """
    if isinstance(file, Place):
        with file.open() as stream:
            yield stream
    else:
        yield str(file)


def folder_around(file: str | Place) -> str | Place:
    """Returns the folder of a file: a local path in full, or a place in a store."""
    return file.parent if isinstance(file, Place) else os.path.dirname(os.path.abspath(file))
