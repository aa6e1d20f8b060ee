"""The tuning job: labelled data in; the best head that was found, its model and a record out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfautolabel.data import load_dataset
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.tally import Clock
from tfautolabel.runs.inputs import Place, check_classes, make_folder
from tfautolabel.runs.learnt import write_learnt
from tfautolabel.runs.record import versions


@dataclass(frozen=True, eq=False)
class Searches:
    """What was searched for, and found.

    Attributes:
        head: the `HeadSearch`.
        fine_tuning: the `FineTuneSearch`; None where the backbone stays as it is.
    """

    head: Any
    fine_tuning: Any

    def to_dict(self) -> dict[str, Any]:
        """What a record has of them, ready for JSON."""
        record: dict[str, Any] = self.head.to_dict()
        if self.fine_tuning is not None:
            record["fine_tuning"] = self.fine_tuning.to_dict()
        return record


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What tuning did.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        searches: what was searched for, and found.
        record: the content of tune.json.
    """

    out: Path
    model: Path
    searches: Searches
    record: dict[str, Any]


def tune(
    data: Any,
    out: Place,
    *,
    labels: Place | None = None,
    input_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    modality: str | None = None,
    label_values: str = "usual",
    encoding: str | None = None,
    follow_links: bool = False,
    backbone: str | None = None,
    long_text: str = "truncate",
    tuner: str = "random",
    trials: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: Place | None = None,
    class_weight: str | dict[str, float] | None = None,
    sampling: str = "unknown",
    transfer: str = "feature",
    time_budget: str | float | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> TuneResult:
    """Searches for the best head on labelled data, trains it and exports the model.

    Args:
        data: as for `run`; all of it may be labelled.
        out: a folder for the results; a search that was interrupted there goes on.
        labels: a CSV file with the columns path and label.
        input_column: the column of texts or paths.
        label_column: the column of labels.
        id_column: the column of names.
        modality: "image", "text" or "audio"; recognised by default.
        label_values: "usual", or "keep" to make each value a class as it is written.
        encoding: how the text of a table is encoded; found out by default.
        follow_links: whether links that lead out of a folder are followed.
        backbone: as for `load_backbone`, or "auto"; the modality's own by default.
        long_text: as for `run`.
        tuner: "random", "bayesian" or "hyperband".
        trials: how many heads are tried; 30 by default.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        class_weight: "balanced", or a weight for each class name.
        sampling: how the labelled examples came about, as in `Labeler.fit`.
        transfer: as for `run`; with "model", which blocks learn and how is searched for too.
        time_budget: seconds that this search may take, and then again the tuning of the backbone, or as
            "10m".
        progress: shows progress bars where standard error is a terminal.
        say: told what was recognised, guessed and found, a sentence at a time.

    Returns:
        What was done.

    Raises:
        ValueError: If the input is not usable, with what was received and what is valid.
        FileNotFoundError: If a folder or file is not there, or weights may not be fetched.
        RuntimeError: If no trial was completed, with the cause.
    """
    out = Path(out)
    started, clock = datetime.now(UTC), Clock()
    make_folder(out)
    with clock("listing"):
        examples = load_dataset(
            data,
            labels or "auto",
            input_column=input_column,
            label_column=label_column,
            id_column=id_column,
            modality=modality,
            label_values=label_values,
            encoding=encoding,
            follow_links=follow_links,
            exclude=[out],
        )
    for note in examples.notes:
        say(note)
    labelled = examples.labelled
    check_classes(labelled.classes, examples.notes)
    # Only now, because importing TensorFlow takes seconds: a mistake in the input is told at once.
    from tfautolabel.labeler import Labeler, select_backbone
    from tfautolabel.tuning import search

    trials = search.TRIALS if trials is None else trials
    search.check_search(tuner, trials)
    with clock("backbone"):
        chosen, choice = select_backbone(
            backbone, labelled, long_text=long_text, seed=seed, batch_size=batch_size,
            cache_dir=cache_dir, progress=progress, say=say,
        )  # fmt: skip
        labeler = Labeler(
            chosen,
            labelled.classes,
            seed=seed,
            batch_size=batch_size,
            cache_dir=cache_dir,
            transfer=transfer,
            time_budget=time_budget,
            progress=progress,
        )
    with clock("features"):
        extraction = labeler.extract(labelled)
    with clock("tuning"):
        searches = search_head(labeler, labelled, extraction, tuner, trials, class_weight, sampling, out, say)
    with clock("head"):
        labeler.fit(labelled, class_weight=class_weight, sampling=sampling, extraction=extraction)
    write_learnt(labeler.learnt_, extraction.digest, out)
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "data": str(data),
        "labelled_contents_sha256": extraction.digest,
        "settings": {
            "tuner": tuner,
            "trials": trials,
            "seed": seed,
            "class_weight": class_weight,
            "sampling": sampling,
            "long_text": long_text,
            "transfer": transfer,
            "time_budget": time_budget,
        },
        "backbone": {"handle": chosen.handle, "fingerprint": chosen.fingerprint, "choice": choice},
        "tuning": searches.to_dict(),
        "transfer": labeler.transfer_,
        "cross_validation": labeler.cross_validation_,
        "seconds": clock.seconds,
    }
    with atomic_write(out / "tune.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return TuneResult(out, model, searches, record)


def search_head(
    labeler: Any,
    labelled: Any,
    extraction: Any,
    tuner: str,
    trials: int,
    class_weight: str | dict[str, float] | None,
    sampling: str,
    out: Path,
    say: Callable[[str], None],
) -> Searches:
    """Searches for a head, and where the backbone is fine-tuned for settings of that; says what came out.

    Args:
        labeler: a `Labeler`, which takes what is better; its time budget bounds the search for settings.
        labelled: its examples.
        extraction: what it extracted from them.
        tuner: "random", "bayesian" or "hyperband".
        trials: how many heads are tried.
        class_weight: as in `Labeler.fit`.
        sampling: likewise.
        out: the folder of the search, which can be written.
        say: told what came out.
    """
    from tfautolabel.labeler.transfer import seconds_of
    from tfautolabel.tuning import tune_head
    from tfautolabel.tuning.fine_tuning import TRIALS, tune_fine_tuning

    head = tune_head(
        labeler,
        labelled,
        tuner=tuner,
        trials=trials,
        out=out,
        class_weight=class_weight,
        sampling=sampling,
        extraction=extraction,
    )
    if head.made_before:
        say(f"{head.made_before} trials of this very search were there already and are not made again")
    say(head.reason)
    if labeler.transfer != "model":
        return Searches(head, None)
    budget = seconds_of(labeler.time_budget)
    fine_tuning = tune_fine_tuning(
        labeler,
        labelled,
        tuner=tuner,
        trials=min(trials, TRIALS),
        out=out / "fine_tuning",
        class_weight=class_weight,
        sampling=sampling,
        until=None if budget is None else time.monotonic() + budget,
    )
    say(fine_tuning.reason)
    return Searches(head, fine_tuning)
