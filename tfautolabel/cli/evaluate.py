"""The command that measures an exported model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfautolabel._visible import visible_json
from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark, show
from tfautolabel.cli.options import (
    BatchSize,
    Data,
    Encoding,
    FollowLinks,
    Frame,
    IdColumn,
    InputColumn,
    LabelColumn,
    Labels,
    LabelValues,
    Modality,
    Model,
)


def evaluate(
    model: Model,
    data: Data,
    labels: Labels = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    id_column: IdColumn = None,
    modality: Modality = None,
    label_values: LabelValues = "usual",
    encoding: Encoding = None,
    follow_links: FollowLinks = False,
    frame: Frame = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="An .html file to write a report with figures to.")
    ] = None,
    batch_size: BatchSize = 32,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure an exported model on labelled data: a folder per class, a table with labels, or --labels.

    Examples that it has learnt from are left out, as the folder of the run around the model knows them.
    """
    from tfautolabel.data import load_dataset
    from tfautolabel.data.addresses import place_of
    from tfautolabel.data.remote_models import local_model
    from tfautolabel.export import load_exported
    from tfautolabel.jobs import measure_model
    from tfautolabel.runs.outputs import check_model

    folder = local_model(model)
    check_model(folder)
    labeler = load_exported(folder)
    unnamed = "folder" if place_of(data).is_dir() else "auto"
    dataset = load_dataset(
        data,
        unnamed if labels is None else labels,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        exclude=[model],
        label_values=label_values,
        encoding=encoding,
        follow_links=follow_links,
        modality=modality,
        expected=labeler.modality,
    ).with_frame(frame)
    for note in dataset.notes:
        remark(quiet)(note)
    measured = measure_model(labeler, dataset, batch_size=batch_size, progress=not quiet)
    if report is not None:
        from tfautolabel.report import write_evaluation_report

        bound = labeler.certificate.threshold if labeler.certificate else labeler.min_confidence
        write_evaluation_report(
            report,
            measured.evaluation,
            measured.probabilities,
            labels=measured.labels,
            class_ids=measured.class_ids,
            dataset=dataset,
            model=str(place_of(model)),
            min_confidence=bound,
            learnt=None if measured.learnt is None else measured.learnt[0],
        )
    if as_json:
        text = json.dumps(measured.to_dict(), indent=2, ensure_ascii=False)
        sys.stdout.write(visible_json(text) + "\n")
        return
    summaries.show_measured(measured)
    if report is not None:
        show("", f"report             {report}")
