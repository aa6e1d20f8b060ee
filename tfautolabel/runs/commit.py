"""Puts all files of a run in place together, or none of them.

New files are written into a scratch folder within the run's folder, the record last. When they are complete,
one rename to `.commit` decides: from then on the new run is the valid one. Its files are then moved to their
places: the old record is removed first, and the new one is moved last. If the process is killed before the
rename, the earlier run is unchanged. If it is killed after it, the next command that writes there moves the
rest, and commands that only read report it (`check_finished`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfautolabel._durable import CONTENT, cannot_write, exchange, sync_directory, sync_file
from tfautolabel._scratch import scratch_folder
from tfautolabel.runs.files import (
    AUDIT_LIST,
    COMMIT,
    DESCRIPTION,
    EARLIER_UNREADABLE,
    MODEL_DESCRIPTION,
    MODELS,
    RECORD,
    REPORT,
    VERSION,
)
from tfautolabel.runs.identity import file_digest
from tfautolabel.runs.lock import locked
from tfautolabel.runs.record import read_record

_OLD_RECORD, _OLD_MODEL, _READ = "old-run.json", "old-model", "read.json"


class Staging:
    """A place where a run's files are written before they are moved into the run's folder.

    Attributes:
        out: the run's folder.
        folder: the folder to write into, under the same names.
    """

    def __init__(self, out: Path, folder: Path) -> None:
        self.out, self.folder = out, folder
        self._read: dict[str, str | None] = {}

    def will_replace(self, name: str) -> None:
        """Records that a file was read in its current state, so that it may be replaced.

        If anybody changes the file after that, or after a run wrote it, it is kept under another name.
        """
        file = self.out / name
        self._read[name] = file_digest(file) if file.is_file() else None

    def commit(self) -> None:
        """Moves all files to their places.

        Raises:
            OSError: If that fails. Either the earlier run is unchanged, or the next command moves the rest.
        """
        try:
            (self.folder / _READ).write_text(json.dumps(self._read), encoding="utf-8")
            sync_file(self.folder / _READ)
            sync_directory(self.folder)
            os.rename(self.folder, self.out / COMMIT)
            sync_directory(self.out)
            finish(self.out)
        except OSError as error:
            raise cannot_write(error, self.out) from error


@contextmanager
def staging(out: Path) -> Iterator[Staging]:
    """Locks a run's folder and gives a place to write; without `commit`, nothing of it stays.

    If a killed process had decided on a run but not finished it, that is finished first.

    Raises:
        ValueError: If the folder is a file.
        RuntimeError: If another process holds the folder.
        OSError: If the folder cannot be made or written to.
    """
    with locked(out):
        finish(out)
        with scratch_folder(out) as scratch, _known_names(scratch / CONTENT, out):
            yield Staging(out, scratch / CONTENT)


@contextmanager
def _known_names(folder: Path, out: Path) -> Iterator[None]:
    """Makes errors name files where the user will find them, not where they were written."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if os.fspath(folder) not in str(error):
            raise
        told = type(error)(str(error).replace(os.fspath(folder), os.fspath(out)))
        if isinstance(error, OSError) and isinstance(told, OSError):
            told.errno = error.errno
        raise told from error


@contextmanager
def staging_of_run(out: Path) -> Iterator[tuple[Staging, dict[str, Any]]]:
    """Does the same as `staging` for a folder that must hold a run; also gives its record.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If its record cannot be used.
        RuntimeError: If another process holds the folder.
        OSError: If it cannot be written to.
    """
    if not (out / COMMIT / RECORD).is_file():
        read_record(out)  # Checked before anything is written, as the folder may hold no run.
    with staging(out) as staged:
        yield staged, read_record(out)


def check_finished(out: Path) -> None:
    """Refuses a folder whose run is decided but not yet complete.

    Raises:
        ValueError: If the run is not complete.
    """
    if (out / COMMIT / RECORD).is_file():
        raise ValueError(
            f"the files of a run are being put into {out}, or a process that did so was killed: "
            f"`tfautolabel report {out}` finishes it"
        )


def finish(out: Path) -> None:
    """Moves decided files to their places, if any are left. The folder must be locked."""
    commit = out / COMMIT
    if (commit / RECORD).is_file():
        with contextlib.suppress(FileNotFoundError):
            os.rename(out / RECORD, commit / _OLD_RECORD)
            sync_directory(out)
        _move_files(commit, out)
        _move_model(commit, out)
        sync_directory(out)
        os.rename(commit / RECORD, out / RECORD)
        sync_directory(out)
    if commit.is_dir():
        shutil.rmtree(commit)


def _move_files(commit: Path, out: Path) -> None:
    was, new = _digests(commit / _OLD_RECORD), _digests(commit / RECORD)
    read = json.loads((commit / _READ).read_text(encoding="utf-8"))
    for file in sorted(commit.iterdir()):
        if file.name in (RECORD, _OLD_RECORD, _READ) or not file.is_file():
            continue
        _keep_if_changed(out / file.name, {read.get(file.name), was.get(file.name), new.get(file.name)})
        os.rename(file, out / file.name)
    if AUDIT_LIST not in new and (out / AUDIT_LIST).is_file():
        # It lists other items, of an earlier run; a copy keeps what was written into it.
        _keep_if_changed(out / AUDIT_LIST, {read.get(AUDIT_LIST)})
        (out / AUDIT_LIST).unlink(missing_ok=True)
    if EARLIER_UNREADABLE in was.keys() - new.keys():
        # An earlier version's file of the earlier run; the new run has its own under the new name.
        _keep_if_changed(out / EARLIER_UNREADABLE, {was[EARLIER_UNREADABLE]})
        (out / EARLIER_UNREADABLE).unlink(missing_ok=True)


def _keep_if_changed(file: Path, ours: set[str | None]) -> None:
    if file.name == REPORT or not file.is_file() or file_digest(file) in ours:
        return
    os.rename(file, free_name(file))


def free_name(file: Path) -> Path:
    """Returns the first free name like audit-1.csv."""
    number = 1
    while (name := file.with_name(f"{file.stem}-{number}{file.suffix}")).exists():
        number += 1
    return name


def _move_model(commit: Path, out: Path) -> None:
    staged, target = commit / MODELS / VERSION, out / MODELS / VERSION
    if not staged.is_dir() or _has_description(target, _digests(commit / RECORD).get(DESCRIPTION)):
        return
    target.parent.mkdir(exist_ok=True)
    # In one step if the system can, so that a server that watches the folder never misses a model.
    with contextlib.suppress(FileNotFoundError):
        if exchange(staged, target):
            sync_directory(target.parent)
            return
        os.rename(target, commit / _OLD_MODEL)
    os.rename(staged, target)
    sync_directory(target.parent)


def _has_description(model: Path, digest: str | None) -> bool:
    file = model / MODEL_DESCRIPTION
    return file.is_file() and file_digest(file) == digest


def _digests(record: Path) -> dict[str, str]:
    """Returns the file digests in a record; none if there is no record or it cannot be read."""
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
