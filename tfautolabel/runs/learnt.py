"""Stores what a run's model has learnt from, beside the model and never in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.learnt import Learnt
from tfautolabel.runs.files import LEARNT, MODELS, RECORD
from tfautolabel.runs.record import read_record

_HASH = re.compile(r"[0-9a-f]{64}")


def write_learnt(learnt: Learnt, digest: str, out: str | os.PathLike[str]) -> None:
    """Writes the hashes, one per line; the first line identifies the labelled contents.

    Args:
        learnt: the contents that were learnt from.
        digest: the digest of the labelled examples, as the record has it.
        out: the folder of the run.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_write(Path(out) / LEARNT) as file:
        file.write("\n".join([digest, *sorted(learnt.hashes)]) + "\n")


def learnt_by(version: str | os.PathLike[str]) -> Learnt | None:
    """Reads what a model has learnt from, if it lies in the folder of the run that made it.

    Args:
        version: the model's version folder, such as out/model/1.

    Returns:
        None if that is unknown: the model lies elsewhere, or the file is missing, damaged or of another run.
    """
    models = Path(version).absolute().parent
    if models.name != MODELS:
        return None
    out = models.parent
    try:
        digest, *hashes = (out / LEARNT).read_text(encoding="ascii").splitlines()
        whole = all(_HASH.fullmatch(found) for found in hashes)
        if (out / RECORD).is_file():
            whole &= read_record(out)["inputs"]["labelled_contents_sha256"] == digest
    except (OSError, ValueError, KeyError):
        return None
    return Learnt(frozenset(hashes)) if whole else None
