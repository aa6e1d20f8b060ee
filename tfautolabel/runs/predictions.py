"""The predictions of a run: the same rows as CSV for people and as Parquet for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tfautolabel.data import LabelsWriter
from tfautolabel.data.writers import COLUMNS, ROWS_AT_ONCE
from tfautolabel.labels import UNLIKE
from tfautolabel.runs.files import PREDICTIONS, PREDICTIONS_PARQUET

_SHOWN = ("label", "confidence", "accepted", "reason", "ood_score")


SHOWN_MOST = 32
"""So many of the surest, the least sure and the most unlike labels are kept of a long table for a report."""


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labels of a run; the names stay in Arrow's memory, because only few of them are shown.

    Attributes:
        ids: an Arrow column of n names.
        class_ids: (n,) int64, the predicted class of each row.
        confidence: (n,) float32.
        accepted: (n,) bool.
        unlike: (n,) bool, which rows are unlike all labelled examples.
        unlike_score: (n,) float32, a higher score is less similar; zeros if the run has no scores.
        counts: (k,) int64, the number of labels of each class in the whole table.
        unlike_count: how many labels of the whole table are unlike all labelled examples.
    """

    ids: Any
    class_ids: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    unlike: np.ndarray
    unlike_score: np.ndarray
    counts: np.ndarray
    unlike_count: int

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
    """Reads all rows.

    Args:
        file: the Parquet file.
        classes: k names.

    Raises:
        OSError: If the file does not exist or cannot be read.
        ValueError: If it is damaged.
        KeyError: If a label is not one of the classes.
    """
    return _joined(list(_tables(file, classes)))


def read_shown(file: Path, classes: tuple[str, ...], named: Sequence[str]) -> LabelTable:
    """Reads the rows that a report may show, in their order; of a short table, all rows.

    Args:
        file: the Parquet file.
        classes: k names.
        named: names of rows that must be among them.

    Returns:
        Of a table of more than `ROWS_AT_ONCE` rows: those named and, of each class, the `SHOWN_MOST` surest
        and least sure ones, and the `SHOWN_MOST` most unlike all labelled examples. The counts are those of
        the whole table.

    Raises:
        OSError: If the file does not exist or cannot be read.
        ValueError: If it is damaged.
        KeyError: If a label is not one of the classes.
    """
    import pyarrow as pa

    wanted = pa.array(named, pa.string())
    shown: LabelTable | None = None
    for table in _tables(file, classes):
        shown = table if shown is None else _joined([shown, table])
        if shown.counts.sum() > ROWS_AT_ONCE:
            shown = _only_shown(shown, wanted)
    if shown is None:
        raise ValueError("it has no rows at all")
    return shown


def _only_shown(table: LabelTable, wanted: Any) -> LabelTable:
    import pyarrow.compute as pc

    kept = pc.is_in(table.ids, value_set=wanted).to_numpy(zero_copy_only=False)
    strange = np.flatnonzero(table.unlike)
    kept[strange[np.argsort(-table.unlike_score[strange], kind="stable")[:SHOWN_MOST]]] = True
    for class_id in np.unique(table.class_ids):
        rows = np.flatnonzero(table.class_ids == class_id)
        in_order = rows[np.argsort(-table.confidence[rows], kind="stable")]
        kept[in_order[:SHOWN_MOST]] = kept[in_order[-SHOWN_MOST:]] = True
    arrays = {name: getattr(table, name)[kept] for name in _ARRAYS}
    return replace(table, ids=table.ids.take(np.flatnonzero(kept)), **arrays)


_ARRAYS = ("class_ids", "confidence", "accepted", "unlike", "unlike_score")


def _joined(tables: list[LabelTable]) -> LabelTable:
    import pyarrow as pa

    arrays = {name: np.concatenate([getattr(table, name) for table in tables]) for name in _ARRAYS}
    return LabelTable(
        ids=pa.concat_arrays([table.ids for table in tables]),
        counts=np.sum([table.counts for table in tables], axis=0),
        unlike_count=sum(table.unlike_count for table in tables),
        **arrays,
    )


def _tables(file: Path, classes: tuple[str, ...]) -> Iterator[LabelTable]:
    """Yields all rows, some at a time; a table without rows once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    position = {name: class_id for class_id, name in enumerate(classes)}
    with pq.ParquetFile(file) as parquet:
        there = ["id", *(name for name in _SHOWN if name in parquet.schema_arrow.names)]
        yield _table(parquet.schema_arrow.empty_table().select(there), position)
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=there):
            yield _table(pa.Table.from_batches([batch]), position)


def _table(table: Any, position: dict[str, int]) -> LabelTable:
    encoded = table["label"].combine_chunks().dictionary_encode()
    ids_of = np.array([position[name] for name in encoded.dictionary.to_pylist()] or [0], np.int64)
    n = table.num_rows
    unlike, scores = np.zeros(n, bool), np.zeros(n, np.float32)
    if "reason" in table.column_names:
        unlike = np.asarray(table["reason"].to_numpy() == UNLIKE, bool).reshape(n)
    if "ood_score" in table.column_names:
        scores = np.nan_to_num(table["ood_score"].to_numpy().astype(np.float32))
    class_ids = ids_of[encoded.indices.to_numpy()]
    return LabelTable(
        ids=table["id"].combine_chunks(),
        class_ids=class_ids,
        confidence=table["confidence"].to_numpy(),
        accepted=table["accepted"].to_numpy().astype(bool),
        unlike=unlike,
        unlike_score=scores,
        counts=np.bincount(class_ids, minlength=len(position)),
        unlike_count=int(unlike.sum()),
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
