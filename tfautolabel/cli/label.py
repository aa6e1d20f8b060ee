"""The command that labels with an exported model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark
from tfautolabel.cli.options import BatchSize, Data, IdColumn, InputColumn, Model, Quiet
from tfautolabel.runs.files import PREDICTIONS_CSV, REJECTED


def label(
    model: Model,
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="A .csv, .jsonl or .parquet file, or a folder for predictions.csv and rejected.csv."
        ),
    ],
    input_column: InputColumn = None,
    id_column: IdColumn = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence", help="0 to 1, instead of the thresholds that the model was exported with."
        ),
    ] = None,
    batch_size: BatchSize = 32,
    quiet: Quiet = False,
) -> None:
    """Label new files with an exported model."""
    from tfautolabel.data import LabelsWriter, load_dataset, write_rejected
    from tfautolabel.data.writers import WRITERS
    from tfautolabel.export import load_labeler
    from tfautolabel.labels import check_min_confidence

    if min_confidence is not None:
        check_min_confidence(min_confidence)
    to_file = out.suffix.lower() in WRITERS
    labels_file = out if to_file else out / PREDICTIONS_CSV
    rejected_file = out.with_name(f"{out.stem}.rejected.csv") if to_file else out / REJECTED
    _check_place(labels_file)
    labeler = load_labeler(model)
    dataset = load_dataset(
        data,
        None,
        input_column=input_column,
        id_column=id_column,
        exclude=[out, labels_file, rejected_file, model],
        modality=labeler.modality,
    )
    for note in dataset.notes:
        remark(quiet)(note)
    rejected, accepted, total = {*dataset.rejected}, 0, 0
    reasons: Counter[str] = Counter()
    with LabelsWriter(labels_file) as writer:
        for labels in labeler.label_parts(
            dataset, min_confidence=min_confidence, batch_size=batch_size, progress=not quiet
        ):
            writer.write(labels)
            rejected.update(labels.rejected)
            accepted += int(labels.accepted.sum())
            total += len(labels)
            reasons.update(labels.reason[labels.reason != ""].tolist())
    write_rejected(sorted(rejected), rejected_file)
    if not quiet:
        summaries.show_labels(accepted, total, reasons, len(rejected), labels_file, rejected_file)


def _check_place(file: Path) -> None:
    """Refuses what could not be written once all is computed."""
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if not folder.is_dir() or file.is_dir():
        blocking = file if file.is_dir() else folder
        kind = "folder" if file.is_dir() else "file"
        raise ValueError(f"labels cannot be written to {file}. Received: {blocking}, which is a {kind}")
