"""The predictions of a run: the same rows as CSV for people and as Parquet for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tfautolabel.data import LabelsWriter
from tfautolabel.data.writers import COLUMNS, ROWS_AT_ONCE
from tfautolabel.labels import UNLIKE
from tfautolabel.runs.files import PREDICTIONS, PREDICTIONS_PARQUET

_SHOWN = ("label", "confidence", "accepted", "reason", "ood_score")


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of a run; the names stay in Arrow's memory, because only few of them are shown.

    Attributes:
        ids: an Arrow column of n names.
        class_ids: (n,) int64, the predicted class of each row.
        confidence: (n,) float32.
        accepted: (n,) bool.
        unlike: (n,) bool, which rows are unlike all labelled examples.
        unlike_score: (n,) float32, a higher score is less similar; zeros if the run has no scores.
    """

    ids: Any
    class_ids: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    unlike: np.ndarray
    unlike_score: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def names(self, rows: np.ndarray) -> list[str]:
        """Returns the names of some rows."""
        names: list[str] = self.ids.take(np.asarray(rows, np.int64)).to_pylist()
        return names


@contextmanager
def predictions_writers(
    out: Path, metadata: Mapping[str, str] = MappingProxyType({})
) -> Iterator[list[LabelsWriter]]:
    """Opens both files for writing; they appear whole at the end of the block, or not at all.

    Args:
        out: the folder.
        metadata: as for `LabelsWriter`.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(LabelsWriter(out / name, metadata)) for name in PREDICTIONS]


def read_predictions(file: Path, classes: tuple[str, ...]) -> LabelTable:
    """Reads all rows in the form that a report needs.

    Args:
        file: the Parquet file.
        classes: k names.

    Raises:
        OSError: If the file does not exist or cannot be read.
        ValueError: If it is damaged.
        KeyError: If a label is not one of the classes.
    """
    import pyarrow.parquet as pq

    there = [name for name in _SHOWN if name in pq.read_schema(file).names]
    table = pq.read_table(file, columns=["id", *there])
    encoded = table["label"].combine_chunks().dictionary_encode()
    position = {name: class_id for class_id, name in enumerate(classes)}
    ids_of = np.array([position[name] for name in encoded.dictionary.to_pylist()] or [0], np.int64)
    n = table.num_rows
    unlike, scores = np.zeros(n, bool), np.zeros(n, np.float32)
    if "reason" in there:
        unlike = np.asarray(table["reason"].to_numpy() == UNLIKE, bool).reshape(n)
    if "ood_score" in there:
        scores = np.nan_to_num(table["ood_score"].to_numpy().astype(np.float32))
    return LabelTable(
        ids=table["id"].combine_chunks(),
        class_ids=ids_of[encoded.indices.to_numpy()],
        confidence=table["confidence"].to_numpy(),
        accepted=table["accepted"].to_numpy().astype(bool),
        unlike=unlike,
        unlike_score=scores,
    )


def prediction_parts(out: Path) -> Iterator[dict[str, list[Any]]]:
    """Yields all rows part by part, as columns, to write them again.

    Raises:
        OSError: If the file does not exist or cannot be read.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(out / PREDICTIONS_PARQUET) as table:
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=list(COLUMNS)):
            yield {name: batch.column(name).to_pylist() for name in COLUMNS}
