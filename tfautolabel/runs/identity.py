"""Tells which run a file belongs to: the file holds the run's id, and the record holds its digest."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.writers import COLUMNS
from tfautolabel.labels import Unreadable
from tfautolabel.runs.audit_list import COLUMNS as AUDIT_COLUMNS
from tfautolabel.runs.audit_list import read_audit_list
from tfautolabel.runs.files import (
    AUDIT_LIST,
    CANDIDATES,
    DATA,
    DESCRIPTION,
    EVIDENCE,
    LEARNT,
    MODEL_DESCRIPTION,
    PREDICTIONS_CSV,
    PREDICTIONS_PARQUET,
    RECORD,
    REPORT,
    UNREADABLE,
)

RUN_ID = "tfautolabel.run"
"""The key in the metadata of Parquet files and in labeler.json."""


def run_id(
    settings: dict[str, Any],
    versions: dict[str, str],
    backbone: str,
    labelled: tuple[Sequence[str], Sequence[str], np.ndarray, str],
    pool: str,
    unreadable: Iterable[Unreadable],
) -> str:
    """Returns 64 hexadecimal digits that change with anything that decides a run's results.

    Two runs with the same settings and data have the same id, wherever the data are and whenever the runs are
    made. So their files can be equal to the last bit.

    Args:
        settings: as `RunSettings.to_dict` gives them.
        versions: the versions of the packages.
        backbone: its fingerprint.
        labelled: the names, classes, class ids and content digest of the labelled examples.
        pool: the digest of the other examples' contents.
        unreadable: what was set aside.
    """
    names, classes, class_ids, contents = labelled
    told = [settings, versions, backbone, [*map(str, names)], [*classes], class_ids.tolist(), contents, pool]
    told.append([[item.id, item.reason] for item in unreadable])
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def digests(out: Path) -> dict[str, str]:
    """Returns the SHA-256 of each of a run's files that exist, by name.

    For the audit list, only the parts that a person does not write count.
    """
    found = {name: file_digest(out / name) for name in (*DATA, DESCRIPTION) if (out / name).is_file()}
    if (out / AUDIT_LIST).is_file():
        found[AUDIT_LIST] = list_digest(out / AUDIT_LIST)
    return found


def file_digest(file: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_digest(file: Path) -> str:
    """Returns the SHA-256 of an audit list's items, whatever a person wrote beside them."""
    items = [[item.id, item.label] for item in read_audit_list(file)]
    return hashlib.sha256(json.dumps(items).encode()).hexdigest()


def check_whole(out: Path, record: dict[str, Any], but: Sequence[str] = ()) -> None:
    """Refuses files that differ from the record. A missing file is no error.

    Args:
        out: the folder of the run.
        record: the content of its run.json.
        but: files that are not checked.

    Raises:
        ValueError: If a file differs.
    """
    for name, digest in record["files"].items():
        file = out / name
        if name in but or not file.is_file():
            continue
        found = list_digest(file) if name == AUDIT_LIST else file_digest(file)
        if found != digest:
            raise ValueError(
                f"all files of a run belong together. Received: {file}, which is not the one that {RECORD} "
                "tells of, but changed or of another run: run again, or take it away"
            )


def is_ours(file: Path) -> bool:
    """Returns whether a run wrote a file at the place of a result, by its header or its id."""
    try:
        return bool(_SIGNS[file.name](file))
    except Exception:  # a damaged or different file can raise any error
        return False


def _has_header(*columns: str) -> Any:
    def check(file: Path) -> bool:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return tuple(next(csv.reader(stream), ()))[: len(columns)] == columns

    return check


def _has_metadata(file: Path) -> bool:
    import pyarrow.parquet as pq

    return RUN_ID.encode() in (pq.read_metadata(file).metadata or {})


def _has_array(file: Path) -> bool:
    with np.load(file, allow_pickle=False) as stored:
        return "run_id" in stored.files


def _begins_with_a_digest(file: Path) -> bool:
    with file.open("rb") as stream:
        return re.fullmatch(rb"[0-9a-f]{64}\n", stream.read(65)) is not None


def _has_meta(file: Path) -> bool:
    with file.open("rb") as stream:
        return f'<meta name="{RUN_ID}"'.encode() in stream.read(4096)


def _has_entry(name: str) -> Any:
    def check(file: Path) -> bool:
        return name in json.loads(file.read_text(encoding="utf-8"))

    return check


_SIGNS = {
    RECORD: _has_entry("format_version"),
    PREDICTIONS_CSV: _has_header(*COLUMNS),
    PREDICTIONS_PARQUET: _has_metadata,
    UNREADABLE: _has_header(*Unreadable._fields),
    CANDIDATES: _has_metadata,
    AUDIT_LIST: _has_header(*AUDIT_COLUMNS),
    EVIDENCE: _has_array,
    LEARNT: _begins_with_a_digest,
    REPORT: _has_meta,
    MODEL_DESCRIPTION: _has_entry(RUN_ID),
}
"""The test that recognises each file of a run, by the file's name."""
