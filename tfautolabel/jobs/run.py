"""The main job: data and a few labels in; labels, a model and a record out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfautolabel.data import LabelsWriter, Rejected, write_rejected
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.inputs import Inputs, Place, Source, named_below, read_inputs
from tfautolabel.jobs.record import Clock, Tally, described, versions
from tfautolabel.labels import MIN_CONFIDENCE, check_min_confidence

if TYPE_CHECKING:
    from tfautolabel.labeler import Labeler

LABEL_FILES = ("labels.csv", "labels.parquet")


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run did.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        classes: k class names.
        rejected: what was set aside.
        record: the content of run.json.
    """

    out: Path
    model: Path
    classes: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    record: dict[str, Any]


def run(
    data: Any,
    out: Place,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    input_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    modality: str | None = None,
    backbone: str | None = None,
    long_text: str = "truncate",
    head: str = "linear",
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: Place | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    class_weight: str | dict[str, float] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Labels data from a few labels, and exports the model that did it.

    Writes into `out`: labels.csv and labels.parquet, rejected.csv, model/1 (the SavedModel) and run.json.
    What an earlier run wrote there is replaced, each file once its successor is whole. The pool is labelled
    part by part: its size is not bounded by memory.

    Args:
        data: a folder, any tree of files; or a CSV, TSV, JSONL, Parquet or TFRecord file, of which the rows
            with a label are learnt from and the others labelled; or a frame as `load_dataset` takes them.
        out: made if it is not there.
        labels: a CSV file with the columns path and label for the few that are labelled; paths are relative
            to the folder.
        labelled: instead of `labels`, a folder that has a folder per class, or another table.
        input_column: the column of texts, or of paths relative to the file; guessed by default.
        label_column: the column of labels; guessed by default.
        id_column: the column of names; the row numbers by default.
        modality: "image", "text" or "audio"; recognised by default.
        backbone: a string for `load_backbone`, or "auto" to choose a packaged one by cross-validation; by
            default the modality's own.
        long_text: "truncate" for texts longer than the backbone takes, or "average" over their windows.
        head: a key of `HEADS`.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        min_confidence: in [0, 1], labels less sure than this are not accepted.
        class_weight: "balanced", or a weight for each class name.
        progress: shows progress bars where standard error is a terminal.
        say: told what was recognised, guessed and chosen, a sentence at a time.

    Returns:
        What was done.

    Raises:
        ValueError: If the input is not usable, with what was received and what is valid.
        FileNotFoundError: If a folder or file is not there, or weights may not be fetched.
        MissingExtraError: If an optional package is needed; the message is the command that installs it.
        RuntimeError: If weights cannot be fetched, or the exported model fails its check.
    """
    check_min_confidence(min_confidence)
    out = Path(out)
    source = Source(data, labels, labelled, input_column, label_column, id_column, modality)
    started = datetime.now(UTC)
    clock = Clock()
    with clock("listing"):
        inputs = read_inputs(source, out)
    for note in inputs.notes:
        say(note)
    # Only now, because importing TensorFlow takes seconds: a mistake in the input is told at once.
    from tfautolabel.heads import HEADS
    from tfautolabel.labeler import Labeler, select_backbone

    if head not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}. Received: head={head!r}")
    with clock("backbone"):
        chosen, choice = select_backbone(
            backbone, inputs.examples, long_text=long_text, seed=seed, batch_size=batch_size,
            cache_dir=cache_dir, progress=progress, say=say,
        )  # fmt: skip
        labeler = Labeler(
            chosen,
            inputs.examples.classes,
            head,
            seed=seed,
            batch_size=batch_size,
            cache_dir=cache_dir,
            min_confidence=min_confidence,
            progress=progress,
        )
    settings = {
        "head": head,
        "seed": seed,
        "batch_size": batch_size,
        "min_confidence": min_confidence,
        "class_weight": class_weight,
        "long_text": long_text,
    }
    done = _label(labeler, inputs, source, out, clock, class_weight)
    _say_shortened(done.tally, say)
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "inputs": described(source, inputs.pool.modality, done.labelled_digest, done.tally.digest),
        "notes": list(inputs.notes),
        "settings": settings,
        **_outcome(labeler, choice, done),
        "seconds": clock.seconds,
    }
    with atomic_write(out / "run.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return RunResult(out, model, labeler.classes, done.rejected, record)


@dataclass(frozen=True, eq=False)
class _Done:
    """What labelling came to."""

    tally: Tally
    labelled: np.ndarray
    labelled_digest: str
    rejected: tuple[Rejected, ...]


def _label(
    labeler: Labeler,
    inputs: Inputs,
    source: Source,
    out: Path,
    clock: Clock,
    class_weight: str | dict[str, float] | None,
) -> _Done:
    """Fits the labeler, labels the pool part by part, and writes labels and what was set aside."""
    examples = inputs.examples
    with clock("features"):
        extraction = labeler.extract(examples)
    with clock("head"):
        labeler.fit(examples, class_weight=class_weight, extraction=extraction)
    tally = Tally(len(labeler.classes))
    tally.add_features(extraction)
    rejected = {*inputs.rejected, *named_below(source.labelled, extraction.rejected)}
    with ExitStack() as stack:
        writers = [stack.enter_context(LabelsWriter(out / name)) for name in LABEL_FILES]
        for part, labels in _timed(labeler.label_parts(inputs.pool), clock, "features"):
            with clock("labels"):
                tally.add(part, labels)
                rejected.update(part.rejected)
                for writer in writers:
                    writer.write(labels)
    in_order = tuple(sorted(rejected))
    write_rejected(in_order, out / "rejected.csv")
    counts = np.bincount(examples.class_ids[extraction.rows], minlength=len(labeler.classes))
    return _Done(tally, counts, extraction.digest, in_order)


def _outcome(labeler: Labeler, choice: list[dict[str, Any]] | None, done: _Done) -> dict[str, Any]:
    """What run.json has about the backbone and the labels."""
    backbone = labeler.backbone
    return {
        "backbone": {"handle": backbone.handle, "fingerprint": backbone.fingerprint, "choice": choice},
        "counts": done.tally.counts(labeler.classes, done.labelled, len(done.rejected)),
        "cross_validation": labeler.cross_validation_,
    }


def _timed(items: Iterator[Any], clock: Clock, stage: str) -> Iterator[Any]:
    """The same items; the time that it takes to make them counts as the stage's."""
    end = object()
    while True:
        with clock(stage):
            item = next(items, end)
        if item is end:
            return
        yield item


def _say_shortened(tally: Tally, say: Callable[[str], None]) -> None:
    if tally.shortened:
        say(
            f"{tally.shortened:,} texts are longer than the backbone takes and were cut at its length; "
            'long_text="average" (--long-text average) takes the mean over all of a text'
        )
