"""The command that writes an exported model for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfautolabel.cli.console import show
from tfautolabel.cli.options import (
    Encoding,
    FollowLinks,
    InputColumn,
    LabelColumn,
    Labels,
    LabelValues,
    Model,
    Quiet,
)

if TYPE_CHECKING:
    from tfautolabel.export import Converted

FORMATS = ("tflite", "onnx")


def export(
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", help="The file to write; FILE.json beside it says what to feed.")
    ],
    format_: Annotated[str, typer.Option("--format", help="tflite or onnx.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise to 8-bit integers (tflite); needs --examples.")
    ] = False,
    examples: Annotated[
        Path | None,
        typer.Option("--examples", help="Folder or table of real examples, to compare on and for --int8."),
    ] = None,
    labels: Labels = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    label_values: LabelValues = "usual",
    encoding: Encoding = None,
    follow_links: FollowLinks = False,
    limit: Annotated[
        int, typer.Option("--limit", help="Examples to compare at most, drawn at random.")
    ] = 1000,
    length: Annotated[
        int | None,
        typer.Option("--length", help="Tokens or samples in a row (tflite); else the most there can be."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write backbone and head for phones and other runtimes, and compare them with the model."""
    if format_ not in FORMATS:
        raise ValueError(f"--format must be one of {', '.join(FORMATS)}. Received: {format_!r}")
    if format_ == "onnx" and (int8 or length is not None):
        raise ValueError("--int8 and --length are for --format tflite. Received: --format onnx")
    if limit < 1:
        raise ValueError(f"--limit must be at least 1. Received: {limit}")
    if examples is None and labels is not None:
        raise ValueError("--labels names the labels of --examples. Received: --labels alone")
    if out.suffix in {f".{known}" for known in FORMATS} - {f".{format_}"}:
        raise ValueError(f"--out must end in .{format_} for --format {format_}. Received: {out}")
    if out.is_dir():
        raise ValueError(f"--out must be a file. Received: {out}, which is a folder")
    import numpy as np

    from tfautolabel._model_folder import read_description
    from tfautolabel.data import load_dataset
    from tfautolabel.export import export_onnx, export_tflite

    dataset = None
    if examples is not None:
        dataset = load_dataset(
            examples,
            "auto" if labels is None else labels,
            input_column=input_column,
            label_column=label_column,
            exclude=[model, out],
            label_values=label_values,
            encoding=encoding,
            follow_links=follow_links,
            expected=read_description(model)["modality"],
        )
        if len(dataset) > limit:
            rows = np.random.default_rng(0).choice(len(dataset), limit, replace=False)
            dataset = dataset.subset(np.sort(rows))
    if format_ == "tflite":
        done = export_tflite(model, out, dataset, int8=int8, length=length, progress=not quiet)
    else:
        done = export_onnx(model, out, dataset, progress=not quiet)
    if not quiet:
        show(*_lines(done))


def _lines(done: Converted) -> list[str]:
    """Returns lines that say what was written, how large and fast it is, and how it compares."""
    parity = done.parity
    of_what = "recorded examples" if parity.recorded else "windows of your examples"
    lines = [
        f"written    {done.file} ({done.megabytes:.2f} MB, {done.weights}) and {done.description}",
        f"agreement  {parity.agreement:.2%} of the labels on {parity.windows:,} {of_what}; probabilities "
        f"differ by {parity.max_difference:.2g} at most",
        f"speed      {parity.ms:.1f} ms a window, one at a time; the SavedModel's network "
        f"{parity.saved_model_ms:.1f} ms",
    ]
    if parity.accuracy is not None and parity.saved_model_accuracy is not None:
        change = 100 * (parity.accuracy - parity.saved_model_accuracy)
        lines.append(
            f"accuracy   {parity.accuracy:.1%}, the SavedModel {parity.saved_model_accuracy:.1%} "
            f"({change:+.1f} points)"
        )
    if parity.too_long:
        lines.append(f"left out   {parity.too_long:,} windows longer than a row")
    if parity.recorded:
        lines.append("           name real ones with --examples for a comparison that means more")
    return lines
