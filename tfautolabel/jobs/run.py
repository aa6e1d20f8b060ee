"""The main job: data and a few labels in; labels, a model and a record out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfautolabel.data import Rejected
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.candidates import (
    RESERVE,
    items_needed,
    read_candidates,
    say_ambiguous,
    write_audit_list,
)
from tfautolabel.jobs.inputs import Place, Source, make_folder, read_inputs
from tfautolabel.jobs.record import Clock, Tally, described, versions
from tfautolabel.jobs.tune import TUNING, search_head
from tfautolabel.labels import MIN_CONFIDENCE, check_min_confidence
from tfautolabel.trust.binomial import check_levels

TARGET_ERROR = 0.05
"""What an estimate is given for where no target is asked for."""


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
    target_error: float | None = None,
    certify_confidence: float = 0.95,
    per_class: bool = False,
    class_weight: str | dict[str, float] | None = None,
    transfer: str = "feature",
    time_budget: str | float | None = None,
    tune: bool = False,
    trials: int | None = None,
    tuner: str = "random",
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Labels data from a few labels, and exports the model that did it.

    Writes into `out`: labels.csv and labels.parquet, rejected.csv, model/1 (the SavedModel), run.json; for an
    audit and a report audit_pool.parquet, evidence.npz and, with a target, audit.csv, what to look at.
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
        min_confidence: in [0, 1], labels less sure than this are not accepted; with a target, what is sure
            enough to be looked at where nothing can be certified.
        target_error: in (0, 1), the share of wrong labels among the accepted ones. Labels are then accepted
            by a certificate: an estimate from cross-validation, until an audit certifies it. Where there are
            too few labels even for that, none is accepted before the audit.
        certify_confidence: in (0, 1), how often such a statement is true at least.
        per_class: whether each predicted class gets a threshold of its own and meets the target.
        class_weight: "balanced", or a weight for each class name.
        transfer: "feature", "model", "contrastive" or "auto": what learns, see `Labeler`.
        time_budget: seconds that tuning of the backbone may take, or as "10m"; with `tune`, so may the search
            for how.
        tune: whether a better head is searched for first, see `tune_head`; its trials go to `out`/tuning.
        trials: how many heads that search tries; 30 by default.
        tuner: how it proposes them: "random", "bayesian" or "hyperband".
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
    check_levels(TARGET_ERROR if target_error is None else target_error, certify_confidence)
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
    from tfautolabel.jobs.outcome import Target, label_pool, outcome
    from tfautolabel.labeler import Labeler, select_backbone
    from tfautolabel.labeler.transfer import check_transfer

    check_transfer(transfer, time_budget=time_budget)

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
            transfer=transfer,
            time_budget=time_budget,
            progress=progress,
        )
    settings = {
        "head": head,
        "seed": seed,
        "batch_size": batch_size,
        "min_confidence": min_confidence,
        "target_error": target_error,
        "certify_confidence": certify_confidence,
        "per_class": per_class,
        "class_weight": class_weight,
        "long_text": long_text,
        "transfer": transfer,
        "time_budget": time_budget,
        "tune": {"trials": trials, "tuner": tuner} if tune else None,
    }
    tuned = None
    if tune:
        make_folder(out / TUNING)
        with clock("tuning"):
            searches = search_head(
                labeler, inputs.examples, labeler.extract(inputs.examples), tuner, trials, class_weight,
                out / TUNING, say,
            )  # fmt: skip
            tuned = searches.to_dict()
    error = TARGET_ERROR if target_error is None else target_error
    target = Target(error, certify_confidence, per_class, target_error is not None)
    done = label_pool(labeler, inputs, source, out, clock, class_weight, target, say)
    _say_shortened(done.tally, say)
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "inputs": described(source, inputs.pool.modality, done.labelled_digest, done.tally.digest),
        "notes": list(inputs.notes),
        "settings": settings,
        "tuning": tuned,
        **outcome(labeler, choice, done, target),
        "audit": {"seed": seed, "listed": _list_items(out, target, labeler.classes, seed, say)},
        "seconds": clock.seconds,
    }
    with atomic_write(out / "run.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return RunResult(out, model, labeler.classes, done.rejected, record)


def _list_items(
    out: Path, target: Any, classes: tuple[str, ...], seed: int, say: Callable[[str], None]
) -> int:
    """Draws the items that an audit is to look at, if there is a target; returns how many."""
    candidates = read_candidates(out)
    if not target.asked or not len(candidates.scores):
        return 0
    wanted = round(RESERVE * items_needed(candidates, target.error, target.confidence))
    say_ambiguous(classes, say)
    return write_audit_list(out, candidates, wanted, seed, say)


def _say_shortened(tally: Tally, say: Callable[[str], None]) -> None:
    if tally.shortened:
        say(
            f"{tally.shortened:,} texts are longer than the backbone takes and were cut at its length; "
            'long_text="average" (--long-text average) takes the mean over all of a text'
        )
