"""The labels that an audit is drawn from, and the list of those to look at."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import as_utf8
from tfautolabel.labels import NOT_CERTIFIED, Labels
from tfautolabel.trust import certify_audited, draw_audit

CANDIDATES, AUDIT_LIST = "audit_pool.parquet", "audit.csv"
COLUMNS = ("number", "id", "label", "correct")
YES, NO = ("yes", "true", "1"), ("no", "false", "0")
RESERVE = 1.1
"""So many times as many as an audit without an error needs are drawn at first."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Labels that are sure enough to be accepted, if an audit does not find too many of them wrong.

    Attributes:
        rows: (m,) int64, their rows in the table of labels.
        ids: m names.
        labels: m class names, as predicted.
        scores: (m,) float32, their confidences.
    """

    rows: np.ndarray
    ids: Sequence[str]
    labels: Sequence[str]
    scores: np.ndarray


@contextmanager
def candidates_writer(out: Path) -> Iterator[Callable[[Labels], None]]:
    """Writes the candidates among labels that come part by part; the file appears whole at the end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("row", pa.int64()), ("id", pa.string()), ("label", pa.string()), ("confidence", pa.float32())]
    )
    first = 0
    with atomic_write(out / CANDIDATES, "wb") as file, pq.ParquetWriter(file, schema) as writer:

        def write(labels: Labels) -> None:
            nonlocal first
            rows = np.flatnonzero((labels.reason == "") | (labels.reason == NOT_CERTIFIED))
            columns = [
                first + rows,
                [as_utf8(name) for name in labels.ids[rows]],
                [as_utf8(name) for name in labels.predicted[rows]],
                labels.confidence[rows],
            ]
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            first += len(labels)

        yield write


def read_candidates(out: Path) -> Candidates:
    """What `candidates_writer` wrote.

    Raises:
        FileNotFoundError: If the folder holds no run.
    """
    import pyarrow.parquet as pq

    if not (out / CANDIDATES).is_file():
        raise FileNotFoundError(f"an audit needs a folder that `run` wrote. Received: {out}")
    table = pq.read_table(out / CANDIDATES)
    return Candidates(
        table["row"].to_numpy(),
        table["id"].to_pylist(),
        table["label"].to_pylist(),
        table["confidence"].to_numpy(),
    )


def items_needed(candidates: Candidates, target_error: float, confidence: float) -> int:
    """How many items an audit that finds no error has to look at; 0 without candidates."""
    if not len(candidates.scores):
        return 0
    none = np.zeros(0, np.int64)
    first = certify_audited(
        candidates.scores, none.astype(bool), none, target_error=target_error, confidence=confidence
    )
    return first.needed_labels or len(candidates.scores)


def write_audit_list(
    out: Path, candidates: Candidates, n: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> int:
    """Draws so many candidates into the list; answers that were given stay.

    A list of other candidates, from an earlier run, is not thrown away but gets another name.

    Args:
        out: the folder of the run.
        candidates: what to draw from.
        n: how many items, counted with those that are listed already.
        seed: decides the order; a longer list begins with the shorter one.
        say: told what became of an earlier list.

    Returns:
        How many items are listed.
    """
    file, given = out / AUDIT_LIST, []
    order = draw_audit(len(candidates.scores), n, seed)
    if file.is_file():
        earlier = read_audit_list(file)
        order = draw_audit(len(candidates.scores), max(n, len(earlier)), seed)
        expected = [(candidates.ids[place], candidates.labels[place]) for place in order]
        if [(row["id"], row["label"]) for row in earlier] == expected[: len(earlier)]:
            given = [_answer(row) for row in earlier]
        else:
            order = order[:n]
            if any(_answer(row) for row in earlier):
                kept = _free_name(file)
                os.replace(file, kept)
                say(f"{file} listed other items: it was kept as {kept.name}")
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, place in enumerate(order):
            answer = given[number] if number < len(given) else ""
            writer.writerow([number + 1, candidates.ids[place], candidates.labels[place], answer])
    return len(order)


def read_audit_list(file: Path) -> list[dict[str, str]]:
    """The rows of a list, as text.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it lacks a column or is not UTF-8.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no list of audited items {file}: `tfautolabel audit` draws one")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in ("id", "label") if name not in (reader.fieldnames or ())]
            rows: list[dict[str, Any]] = list(reader)
    except UnicodeDecodeError as error:
        raise ValueError(f"a list of audited items is UTF-8. Received: {file}, {error.reason}") from error
    if missing:
        raise ValueError(f"a list of audited items has the columns {', '.join(COLUMNS)}. Received: {file}")
    return rows


def read_answers(
    file: Path, candidates: Candidates, seed: int, classes: Sequence[str]
) -> tuple[np.ndarray, list[str | None]]:
    """The answers of a list, which must begin with its first item and leave none out.

    Args:
        file: the list.
        candidates: what it was drawn from.
        seed: with which it was drawn.
        classes: k names.

    Returns:
        (n,) int64, the places of the items that were looked at, and for each the right label; None where it
        is only known that the label is wrong.

    Raises:
        ValueError: If an item is not the one that was drawn, was passed over, or an answer is not valid; with
            the number of the row.
    """
    rows = read_audit_list(file)
    order = draw_audit(len(candidates.scores), len(rows), seed)
    answers: list[str | None] = []
    unanswered = 0
    for number, row in enumerate(rows, 1):
        place = order[number - 1] if number <= len(order) else None
        if place is None or row["id"] != candidates.ids[place] or row["label"] != candidates.labels[place]:
            raise ValueError(
                f"row {number} must be the item that was drawn for it"
                f"{'' if place is None else f', {candidates.ids[place]}'}: a list is valid for its own run, "
                f"in its own order. Received: {row['id']} in {file}"
            )
        word = _answer(row)
        if not word:
            unanswered = unanswered or number
        elif unanswered:
            raise ValueError(
                "items must be looked at in their order and none passed over. Received: an answer in row "
                f"{number} of {file}, none in row {unanswered}"
            )
        else:
            answers.append(_right_label(word, row["label"], classes, number, file))
    return order[: len(answers)], answers


def ambiguous(classes: Sequence[str]) -> list[str]:
    """Names of classes that are also words for yes or no."""
    return [name for name in classes if name.lower() in (*YES, *NO)]


def say_ambiguous(classes: Sequence[str], say: Callable[[str], None]) -> None:
    """Says how answers are understood where a class has such a name."""
    if words := ambiguous(classes):
        say(f"{', '.join(words)}: as answers, these names of classes are taken for the right label")


def has_answers(file: Path) -> bool:
    """Whether a list is there and something was written into it."""
    return file.is_file() and any(_answer(row) for row in read_audit_list(file))


def _right_label(word: str, label: str, classes: Sequence[str], number: int, file: Path) -> str | None:
    # A class's name first: with classes such as "0" and "1", or "yes" and "no", it is what is meant.
    if word in classes:
        return word
    if word.lower() in YES:
        return label
    if word.lower() in NO:
        return None
    raise ValueError(
        f"an answer is yes, no or the right label ({', '.join(classes)}). Received: {word!r} in row {number} "
        f"of {file}"
    )


def _answer(row: dict[str, str]) -> str:
    """What a row says; a column `right_label` says more than `correct`."""
    return (row.get("right_label") or "").strip() or (row.get("correct") or "").strip()


def _free_name(file: Path) -> Path:
    number = 1
    while (name := file.with_name(f"{file.stem}-{number}.csv")).exists():
        number += 1
    return name
