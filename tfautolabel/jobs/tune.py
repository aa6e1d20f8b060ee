"""The tuning job: labelled data in; the best head that was found, its model and a record out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfautolabel.data import load_dataset
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.inputs import Place
from tfautolabel.jobs.record import Clock, versions

TUNING = "tuning"
"""The folder of a search within that of a run."""


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What tuning did.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        search: the `HeadSearch`.
        record: the content of tune.json.
    """

    out: Path
    model: Path
    search: Any
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
    backbone: str | None = None,
    tuner: str = "random",
    trials: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: Place | None = None,
    class_weight: str | dict[str, float] | None = None,
    transfer: str = "feature",
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
        backbone: as for `load_backbone`, or "auto"; the modality's own by default.
        tuner: "random", "bayesian" or "hyperband".
        trials: how many heads are tried; 30 by default.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        class_weight: "balanced", or a weight for each class name.
        transfer: as for `run`; with "model", which blocks learn and how is searched for too.
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
    with clock("listing"):
        examples = load_dataset(
            data,
            labels or "auto",
            input_column=input_column,
            label_column=label_column,
            id_column=id_column,
            modality=modality,
            exclude=[out],
        )
    for note in examples.notes:
        say(note)
    labelled = examples.labelled
    if len(labelled.classes) < 2:
        found = ", ".join(labelled.classes) or "none"
        raise ValueError(f"labels of at least two classes are needed. Received: {found}")
    # Only now, because importing TensorFlow takes seconds: a mistake in the input is told at once.
    from tfautolabel.labeler import Labeler, select_backbone

    with clock("backbone"):
        chosen, choice = select_backbone(
            backbone, labelled, long_text="truncate", seed=seed, batch_size=batch_size,
            cache_dir=cache_dir, progress=progress, say=say,
        )  # fmt: skip
        labeler = Labeler(
            chosen,
            labelled.classes,
            seed=seed,
            batch_size=batch_size,
            cache_dir=cache_dir,
            transfer=transfer,
            progress=progress,
        )
    with clock("features"):
        extraction = labeler.extract(labelled)
    with clock("tuning"):
        search, tuned = search_head(labeler, labelled, extraction, tuner, trials, class_weight, out, say)
    with clock("head"):
        labeler.fit(labelled, class_weight=class_weight, extraction=extraction)
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "data": str(data),
        "labelled_contents_sha256": extraction.digest,
        "settings": {"tuner": tuner, "trials": trials, "seed": seed, "class_weight": class_weight},
        "backbone": {"handle": chosen.handle, "fingerprint": chosen.fingerprint, "choice": choice},
        "tuning": tuned,
        "transfer": labeler.transfer_,
        "cross_validation": labeler.cross_validation_,
        "seconds": clock.seconds,
    }
    with atomic_write(out / "tune.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return TuneResult(out, model, search, record)


def search_head(
    labeler: Any,
    labelled: Any,
    extraction: Any,
    tuner: str,
    trials: int | None,
    class_weight: str | dict[str, float] | None,
    out: Path,
    say: Callable[[str], None],
) -> tuple[Any, dict[str, Any]]:
    """Searches for a head, and where the backbone is fine-tuned for settings of that; says what came out.

    Args:
        labeler: a `Labeler`, which takes what is better.
        labelled: its examples.
        extraction: what it extracted from them.
        tuner: "random", "bayesian" or "hyperband".
        trials: how many heads are tried; None for the default.
        class_weight: as in `Labeler.fit`.
        out: the folder of the search.
        say: told what came out.

    Returns:
        The `HeadSearch`, and what a record has of all.
    """
    from tfautolabel.tuning import search, tune_head
    from tfautolabel.tuning.fine_tuning import TRIALS, tune_fine_tuning

    wanted = search.TRIALS if trials is None else trials
    found = tune_head(
        labeler,
        labelled,
        tuner=tuner,
        trials=wanted,
        out=out,
        class_weight=class_weight,
        extraction=extraction,
    )
    say(found.reason)
    record = found.to_dict()
    if labeler.transfer == "model":
        # The comparison with the frozen backbone needs a bound on time; so does the search for its settings.
        record["fine_tuning"] = tune_fine_tuning(
            labeler, labelled, tuner=tuner, trials=min(wanted, TRIALS), out=out / "fine_tuning"
        )
        say(f"of {record['fine_tuning']['trials']} ways to fine-tune, {_way(labeler)} was the best")
    return found, record


def _way(labeler: Any) -> str:
    settings = labeler.transfer_settings
    return f"scope={settings.scope} at a learning rate of {settings.learning_rate:.2g}"
