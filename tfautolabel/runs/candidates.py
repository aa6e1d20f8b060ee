"""The labels that an audit is drawn from, in audit_pool.parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, SupportsIndex, overload

import numpy as np

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import as_utf8
from tfautolabel.labels import HUMAN_COPY, NOT_CERTIFIED, NOT_EARNED, Labels
from tfautolabel.runs.files import CANDIDATES


@dataclass(frozen=True, eq=False)
class Candidates:
    """Labels that are sure enough to be accepted if an audit does not find too many of them wrong.

    Attributes:
        rows: (m,) int64, their rows in the table of labels.
        ids: m names.
        labels: m class names, as predicted.
        scores: (m,) float32, their confidences.
        origins: m names from `ORIGINS`, where the labels came from before any audit.
    """

    rows: np.ndarray
    ids: Sequence[str]
    labels: Sequence[str]
    scores: np.ndarray
    origins: Sequence[str]


class _Texts(Sequence[str]):
    """A column of texts, of which few are asked for: as Python's they would take ten times the memory."""

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, places: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, places: slice) -> list[str]: ...
    def __getitem__(self, places: Any) -> Any:
        found = self._column[places if isinstance(places, slice) else int(places)]
        return found.to_pylist() if isinstance(places, slice) else found.as_py()


@contextmanager
def candidates_writer(
    out: Path, metadata: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Callable[[Labels], None]]:
    """Writes the candidates among labels that arrive part by part; the file appears whole at the end.

    Args:
        out: the folder.
        metadata: names and texts to store in the file; read when it is closed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [(name, pa.string()) for name in ("id", "label", "origin")]
    schema = pa.schema([("row", pa.int64()), *texts, ("confidence", pa.float32())])
    first = 0
    with atomic_write(out / CANDIDATES, "wb") as file, pq.ParquetWriter(file, schema) as writer:

        def write(labels: Labels) -> None:
            nonlocal first
            sure = np.isin(labels.reason.astype(str), ("", NOT_EARNED, NOT_CERTIFIED))
            # What a person has labelled says nothing about the model's labels.
            rows = np.flatnonzero(sure & (labels.origin != HUMAN_COPY))
            columns = [
                first + rows,
                [as_utf8(name) for name in labels.ids[rows]],
                [as_utf8(name) for name in labels.predicted[rows]],
                labels.origin[rows].tolist(),
                labels.confidence[rows],
            ]
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            first += len(labels)

        yield write
        if metadata:
            writer.add_key_value_metadata(dict(metadata))


def read_candidates(out: Path) -> Candidates:
    """Reads what `candidates_writer` wrote.

    Raises:
        FileNotFoundError: If the folder holds no run.
    """
    import pyarrow.parquet as pq

    if not (out / CANDIDATES).is_file():
        raise FileNotFoundError(f"an audit needs a folder that `run` wrote. Received: {out}")
    table = pq.read_table(out / CANDIDATES, read_dictionary=["label", "origin"])
    return Candidates(
        table["row"].to_numpy(),
        _Texts(table["id"]),
        _Texts(table["label"]),
        table["confidence"].to_numpy(),
        # Runs of earlier versions had no other origin here.
        _Texts(table["origin"]) if "origin" in table.column_names else ["model"] * len(table),
    )
