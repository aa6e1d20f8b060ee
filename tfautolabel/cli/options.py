"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_type_hints

import typer

from tfautolabel.runs import RunSettings

if TYPE_CHECKING:
    from tfautolabel.data.class_descriptions import ClassDescriptions

READ = "\n\n".join(
    (
        "What is read, what is guessed, and how to say it otherwise:",
        "- tables, by content: CSV, TSV, JSON, JSONL, XLSX, Parquet, TFRecord; UTF-8, UTF-16, cp1252: "
        "--encoding",
        "- a header, unless the first line reads as a row: --input-column with one of its words, or 'column "
        "1'",
        "- columns, by name in English and other languages, then by content: --input-column, "
        "--label-column, --id-column (none: row numbers)",
        "- paths, beside the table, in the working directory or in full; never texts: --modality text",
        "- nan, None, N/A, ? and -1 beside ids are no label; spellings of a name are one: --label-values "
        "keep",
        "- folders of classes, also below one folder or below train, val, test: give the folder that holds "
        "them",
        "- links out of a folder are set aside: --follow-links",
        "- pictures, texts or sounds, as most media files or examples are: --modality",
    )
)
"""The end of the help of commands that read data."""

Data = Annotated[
    Path,
    typer.Argument(
        help="Folder of files (any tree), or a CSV, TSV, JSON, JSONL, Excel, Parquet or TFRecord file; "
        "here or in a bucket (s3://…, gs://…, az://…)."
    ),
]
Model = Annotated[Path, typer.Argument(help="Folder of an exported model, such as out/model/1 or out/model.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Table (CSV, JSON, Excel, …) with the columns path,label; paths are below the folder.",
    ),
]
Labelled = Annotated[
    Path | None,
    typer.Option(
        "--labelled", help="Instead of --labels: a folder that has a folder per class, or another table."
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help="File of rules (CSV, YAML; Python code, which is run) that vote for classes: beside labels, or "
        "instead of them; see `tfautolabel rules check`.",
    ),
]
Describe = Annotated[
    Path | None,
    typer.Option(
        "--describe",
        help="What each class is, in words, for texts (and pictures with CLIP): YAML of one text or several "
        "for each class, or a table (CSV, …) with the columns label,description. Beside labels, or instead.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Names that say what the classes are, such as good,bad; beside labels, or instead of them. "
        "Sentences in --describe say more.",
    ),
]
InputColumn = Annotated[
    str | None,
    typer.Option("--input-column", help="Column of texts, or of paths; else guessed."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", help="Column of labels; rows without one are labelled; else guessed."),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        "--id-column",
        help="Column of names, or none to number the rows from 0; "
        "else one called id, where it names each row.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", help="How a CSV, TSV or JSON file is encoded, such as cp1251; else found out."
    ),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Read what links lead to that lead out of the folder.")
]
LabelValues = Annotated[
    str,
    typer.Option(
        "--label-values",
        help="usual reads nan, None, N/A, ? and the like as no label and other "
        "spellings of a name as one class; keep makes each value a class as it is written.",
    ),
]
Modality = Annotated[
    str | None, typer.Option("--modality", help="image, text or audio; else recognised from the data.")
]
Frame = Annotated[
    int | None,
    typer.Option(
        "--frame",
        help="Which frame of DICOM and TIFF pictures that have several, from 1; by default the middle one of "
        "DICOM, the first of TIFF.",
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="packaged:NAME, keras:NAME, kerashub:PRESET, hub:HANDLE, kaggle:HANDLE, hf:NAME, torch:PATH, "
        "plain:pixels, plain:words or plain:spectrum (without transfer), a SavedModel's folder, or auto to "
        "choose a packaged or plain one by the labels. By default the "
        "modality's own; for sound, and for others that were fetched where that takes less than a fifth of "
        "the run, as with auto.",
    ),
]
LongText = Annotated[
    str,
    typer.Option(
        "--long-text", help="Texts longer than the backbone takes: truncate, or average over all of a text."
    ),
]
Transfer = Annotated[
    str,
    typer.Option(
        "--transfer",
        help="What learns: feature (the head only), model (part of the backbone too), contrastive (the "
        "backbone, then the head), or auto (what labels and time allow). The backbone stays as it is where "
        "cross-validation speaks against tuning.",
    ),
]
TimeBudget = Annotated[
    str | None,
    typer.Option(
        "--time-budget",
        help="What tuning the backbone may take, such as 90s, 10m or 1h30m; 10m with auto. A search for how "
        "to do it may take as long again.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Decides everything random.")]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Where features are kept between runs.", show_default="user cache"),
]
Balanced = Annotated[
    bool, typer.Option("--balanced", help="Let every class weigh the same, however many labels it has.")
]
Sampling = Annotated[
    str,
    typer.Option(
        "--sampling",
        help="How the labelled examples came about: random, drawn from what is to be labelled, so that the "
        "shares of their classes count; chosen, so that they say nothing; or unknown.",
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Examples in one forward pass.")]
Device = Annotated[
    str,
    typer.Option(
        "--device", help="Where features are computed: cpu, gpu, or auto: a GPU if TensorFlow sees one."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="In what features are computed: float32, bf16 (CPUs with it), float16 (GPUs), or auto: float32 "
        "on a CPU, float16 on a GPU where it gives the same features.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Where the examples are computed: local (this process), processes (several of this machine) or "
        "ray (a Ray cluster that is running).",
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", help="How many processes compute at a time, for --engine processes and ray."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="The Ray cluster to join, such as auto (the default) or HOST:6379."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors only.")
]


def descriptions_of(describe: Path | None, classes: str | None) -> ClassDescriptions | None:
    """Returns what a user said of the classes; None if nothing.

    Raises:
        ValueError: If it is not valid, or both options are given and disagree.
        FileNotFoundError: If the file does not exist.
    """
    from tfautolabel.data.class_descriptions import ClassDescriptions

    names = listed_classes(classes)
    if describe is not None:
        found = ClassDescriptions.read(describe)
        if names:
            found.for_classes(names)
        return found
    return ClassDescriptions.of_names(names) if names else None


def listed_classes(classes: str | None) -> list[str]:
    """Returns the names that are written with commas between them."""
    return [name.strip() for name in (classes or "").split(",") if name.strip()]


class Listing(TypedDict):
    """The settings of `RunSettings` that say what there is in data, as options of a command."""

    input_column: InputColumn
    label_column: LabelColumn
    id_column: IdColumn
    modality: Modality
    label_values: LabelValues
    encoding: Encoding
    follow_links: FollowLinks


class Reading(Listing):
    """The settings of `RunSettings` that say how data are read, as options of a command."""

    frame: Frame
    backbone: Backbone
    long_text: LongText
    device: Device
    precision: Precision


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `Reading` in the place of its parameter `reading`.

    Args:
        command: a function for Typer that has this parameter, of the type `Reading` or `Listing`, behind a *.
    """
    kind = get_type_hints(command)["reading"]
    settings, options = RunSettings(), get_type_hints(kind, include_extras=True)

    def parameter(name: str) -> inspect.Parameter:
        default = getattr(settings, name)
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=options[name]
        )

    own = inspect.signature(command, eval_str=True).parameters
    listed: dict[str, inspect.Parameter] = {}
    for name, one in own.items():
        if name == "reading":
            listed |= {option: parameter(option) for option in options}
        else:
            listed[name] = one.replace(kind=inspect.Parameter.KEYWORD_ONLY)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(reading={name: given.pop(name) for name in options}, **given)

    # Typer reads both.
    run.__signature__ = inspect.Signature(list(listed.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in listed.items()}
    return run
