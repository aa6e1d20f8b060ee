"""The tuning job: labelled data in; the best head that was found, its model and a record out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfautolabel._durations import seconds_of
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.labeler_of import labeler_of
from tfautolabel.jobs.tally import Clock
from tfautolabel.runs.inputs import Place, Source, check_classes, read_examples
from tfautolabel.runs.learnt import write_learnt
from tfautolabel.runs.lock import locked
from tfautolabel.runs.record import versions
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.data import Dataset
    from tfautolabel.features import Extraction
    from tfautolabel.labeler import Labeler


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
    data: object,
    out: Place,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> TuneResult:
    """Searches for the best head on labelled data, trains it and exports the model.

    With `transfer="model"` it searches for which blocks learn, and how, too.

    Args:
        data: as for `run`; all of it may be labelled.
        out: a folder for the results; a search that was interrupted there goes on.
        labels: a table of labels, as for `run`.
        labelled: as for `run`, and then all that is learnt from: of `data` only the name is recorded.
        settings: as for `run`; what only labelling the rest needs counts for nothing here. `time_budget` is
            what this search may take, and then again the tuning of the backbone.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: told what was recognised, guessed and found, a sentence at a time.

    Returns:
        What was done.

    Raises:
        ValueError: If the input is not usable, with what was received and what is valid.
        FileNotFoundError: If a folder or file is not there, or weights may not be fetched.
        RuntimeError: If no trial was completed, with the cause, or another process is at work on the folder.
    """
    settings = replace(settings, tune=True)
    settings.check()
    out = Path(out)
    with locked(out):
        return _tune(Source(data, labels, labelled, settings), out, cache_dir, progress, say)


def _tune(
    source: Source,
    out: Path,
    cache_dir: Place | None,
    progress: bool,
    say: Callable[[str], None],
) -> TuneResult:
    settings, started, clock = source.settings, datetime.now(UTC), Clock()
    with clock("listing"):
        examples = read_examples(source, out)
    for note in examples.notes:
        say(note)
    labelled = examples.labelled
    check_classes(labelled.classes, examples.notes)
    with clock("backbone"):
        labeler, choice = labeler_of(settings, labelled, cache_dir=cache_dir, progress=progress, say=say)
    with clock("features"):
        extraction = labeler.extract(labelled)
    with clock("tuning"):
        searches = search_head(labeler, labelled, extraction, settings, out, say)
    with clock("head"):
        labeler.fit(
            labelled,
            class_weight=settings.class_weight,
            sampling=settings.sampling,
            extraction=extraction,
        )
    write_learnt(labeler.learnt_, extraction.digest, out)
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    backbone = labeler.backbone
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "data": str(source.data),
        "labelled": None if source.labelled is None else str(source.labelled),
        "labelled_contents_sha256": extraction.digest,
        "settings": settings.to_dict(),
        "backbone": {"handle": backbone.handle, "fingerprint": backbone.fingerprint, "choice": choice},
        "tuning": searches.to_dict(),
        "transfer": labeler.transfer_,
        "cross_validation": labeler.cross_validation_,
        "seconds": clock.seconds,
    }
    with atomic_write(out / "tune.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return TuneResult(out, model, searches, record)


def search_head(
    labeler: Labeler,
    labelled: Dataset,
    extraction: Extraction,
    settings: RunSettings,
    out: Path,
    say: Callable[[str], None],
) -> Searches:
    """Searches for a head, and where the backbone is fine-tuned for settings of that; says what came out.

    Args:
        labeler: takes what is better; its time budget bounds the search for settings.
        labelled: its examples.
        extraction: what it extracted from them.
        settings: of these, the tuner, the trials, the class weights and how the sample came about.
        out: the folder of the search, which can be written.
        say: told what came out.
    """
    # Only now, because importing TensorFlow takes seconds: a mistake in the input is told at once.
    from tfautolabel.tuning import tune_head
    from tfautolabel.tuning.fine_tuning import TRIALS, tune_fine_tuning

    head = tune_head(
        labeler,
        labelled,
        tuner=settings.tuner,
        trials=settings.trials,
        out=out,
        class_weight=settings.class_weight,
        sampling=settings.sampling,
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
        tuner=settings.tuner,
        trials=min(settings.trials, TRIALS),
        out=out / "fine_tuning",
        class_weight=settings.class_weight,
        sampling=settings.sampling,
        until=None if budget is None else time.monotonic() + budget,
    )
    say(fine_tuning.reason)
    return Searches(head, fine_tuning)
