"""The tuning job: searches for the best head on labelled data, and writes its model and a record."""

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
    from tfautolabel.tuning.fine_tuning import FineTuneSearch
    from tfautolabel.tuning.search import HeadSearch


@dataclass(frozen=True, eq=False)
class Searches:
    """The searches and their results.

    Attributes:
        head: the `HeadSearch`.
        fine_tuning: the `FineTuneSearch`; None if the backbone is not changed.
    """

    head: HeadSearch
    fine_tuning: FineTuneSearch | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the entry of a record, ready for JSON."""
        record: dict[str, Any] = self.head.to_dict()
        if self.fine_tuning is not None:
            record["fine_tuning"] = self.fine_tuning.to_dict()
        return record


@dataclass(frozen=True, eq=False)
class TuneResult:
    """The results of tuning.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        searches: the searches and their results.
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

    With `transfer="model"`, it also searches for the blocks of the backbone to train and for the settings.

    Args:
        data: as for `run`; all of it may be labelled.
        out: a folder for the results; an interrupted search continues there.
        labels: a table of labels, as for `run`.
        labelled: as for `run`; then only these examples are learnt from, and of `data` only the name is
            recorded.
        settings: as for `run`; settings that matter only for labelling the rest are ignored. `time_budget`
            limits this search, and then again the tuning of the backbone.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with each thing that was recognised, guessed or found, one sentence at a time.

    Returns:
        The results.

    Raises:
        ValueError: If the input cannot be used; the message says what was received and what is valid.
        FileNotFoundError: If a folder or file does not exist, or weights may not be downloaded.
        RuntimeError: If no trial was completed (with the cause), or another process works on the folder.
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
        "data": source.name,
        "labelled": None if source.labelled is None else str(source.labelled),
        "labelled_contents_sha256": extraction.digest,
        "settings": settings.to_dict(),
        "backbone": {"handle": backbone.handle, "fingerprint": backbone.fingerprint, "choice": choice},
        "engine": labeler.engine.to_dict(),
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
    """Searches for a head, and for fine-tuning settings if the backbone is tuned; reports the result.

    Args:
        labeler: gets the better settings; its time budget limits the search for fine-tuning settings.
        labelled: the labelled examples.
        extraction: the features that the labeler extracted from them.
        settings: the run's settings; used here are the tuner, the trials, the class weights and the sampling.
        out: the folder of the search, which must be writable.
        say: is called with the result.
    """
    # Imported late, because TensorFlow takes seconds to load: mistakes in the input show first.
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
