"""Searches for the best head; it replaces the labeler's head only if it is better.

With few labels, the best of many trials is partly the luckiest one. So cross-validation judges each trial.
Then the few best ones and the original head are judged again on other folds, where the luck of the first
folds does not help.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import stats

from tfautolabel._progress import progress_of, working
from tfautolabel._scratch import temporary_folder
from tfautolabel.data import Dataset
from tfautolabel.features import Extraction
from tfautolabel.labeler import Labeler
from tfautolabel.measures import standard_error
from tfautolabel.training.class_weights import class_weights
from tfautolabel.training.feature_transfer import untrained_copy
from tfautolabel.tuning.cross_validation import (
    ACCURACY,
    OBJECTIVE,
    CrossValidated,
    TuningData,
    cross_validate,
    default_folds,
    losses_of,
    metrics_of,
)
from tfautolabel.tuning.hypermodel import HeadHyperModel
from tfautolabel.tuning.oracles import check_name
from tfautolabel.tuning.resume import begun, check_adopted, key_of, mark, set_aside, warn_unknowable
from tfautolabel.tuning.trials import (
    DEFAULT,
    TrialRow,
    check_completed,
    log_trial,
    row_of,
    write_trials,
)
from tfautolabel.tuning.tuners import make_tuner, run_trials

TRIALS = 30
FINALISTS = 3
"""How many of the best trials are judged again on other folds."""
OTHER_FOLDS = (1000, 2000)
"""This is added to the seed for these other folds."""
ERROR = 0.05
"""How often a head that is no better may replace the original; chosen by `benchmarks/tuning.py`."""


@dataclass(frozen=True, eq=False)
class HeadSearch:
    """The result of a search.

    Attributes:
        kept: whether the tuned head is now the labeler's head.
        reason: why, in a sentence.
        best: the name of the trial with the best head on the other folds; "default" for the original head.
        hyperparameters: the hyperparameters of this trial.
        fit_options: the options of `keras.Model.fit` for its head.
        rows: the trials, the default one first.
        finals: for the default and the best trials: cross-validated log loss and accuracy on the other folds,
            how much the log loss is lower than the default's, and the standard error of this difference.
        tuner: the tuner.
        out: where table, picture and logs are; None if nobody asked for them.
        made_before: how many of the trials come from an earlier call.
    """

    kept: bool
    reason: str
    best: str
    hyperparameters: dict[str, Any]
    fit_options: dict[str, Any]
    rows: tuple[TrialRow, ...]
    finals: dict[str, dict[str, float]]
    tuner: Any
    out: Path | None
    made_before: int

    def to_dict(self) -> dict[str, Any]:
        """Returns the result for a record, ready for JSON."""
        failed = [row for row in self.rows if row.status == "FAILED"]
        return {
            "kept": self.kept,
            "reason": self.reason,
            "best": self.best,
            "hyperparameters": self.hyperparameters,
            "fit_options": self.fit_options,
            "trials": len(self.rows) - 1,
            "failed": len(failed),
            "made_before": self.made_before,
            "finals": self.finals,
        }


def tune_head(
    labeler: Labeler,
    labelled: Dataset,
    *,
    hypermodel: object = None,
    tuner: object = "random",
    trials: int = TRIALS,
    out: str | os.PathLike[str] | None = None,
    n_folds: int | None = None,
    class_weight: str | dict[str, float] | None = None,
    sampling: str = "unknown",
    extraction: Extraction | None = None,
) -> HeadSearch:
    """Searches for a better head on frozen features, and gives it to the labeler if it finds one.

    A search in the same folder with the same hypermodel, examples and settings continues where it stopped; it
    may have more trials. The trials of any other search in this folder are moved to a subfolder. A hypermodel
    is the same if its code and everything that the code uses are the same. If it has a method `fingerprint`,
    the string that this returns decides. Call `labeler.fit` afterwards.

    Args:
        labeler: the labeler that gets the head; its seed determines everything random.
        labelled: examples with labels; those without are ignored.
        hypermodel: a `keras_tuner.HyperModel`, or a function of hyperparameters, that builds compiled heads
            from features to probabilities; `HeadHyperModel` by default. Its own `fit`, if it has one, is
            called as (hp, head, features, class_ids) for each fold. `fit_options(hp)`, if it has that, says
            how `labeler.fit` trains the head afterwards.
        tuner: "random", "bayesian" or "hyperband", a class of `keras_tuner.Tuner`, or a tuner, which brings
            its own folder and number of trials.
        trials: how many trials to make, at least 1.
        out: a folder for the trials, trials.csv, trials.json, trials.svg and tensorboard/.
        n_folds: how many folds the cross-validation has; by default 5, and 3 from 500 examples on.
        class_weight: as in `Labeler.fit`.
        sampling: as in `Labeler.fit`.
        extraction: the result of `labeler.extract` for `labelled`, so that it need not be looked up again.

    Returns:
        The result of the search.

    Raises:
        ValueError: If an argument is out of range, or labels and classes do not agree.
        RuntimeError: If no trial was completed, with the cause.
    """
    check_search(tuner, trials)
    data, digest = _data(labeler, labelled, class_weight, sampling, n_folds, extraction)
    if hypermodel is None and not hasattr(tuner, "oracle"):
        hypermodel = HeadHyperModel(
            data.features.shape[1], data.n_classes, len(data.class_ids), seed=labeler.seed
        )
    with ExitStack() as stack:
        # keras-tuner always writes its trials, so it needs some folder.
        folder = Path(out or stack.enter_context(temporary_folder()))
        key = key_of(
            labeler, digest, data.class_ids, data.class_weight,
            code=_code(hypermodel, tuner), settings={"the folds": [data.n_folds, data.n_classes]},
        )  # fmt: skip
        if out is not None:
            warn_unknowable(key, folder)
        again = begun(folder, key) is not None
        if not again:
            set_aside(folder, key)
        searched = make_tuner(tuner, hypermodel, data, trials=trials, folder=folder, overwrite=not again)
        if searched is tuner:
            check_adopted(tuner, key)
        mark(folder, key)
        search = _search(labeler, data, searched, folder, None if out is None else Path(out))
    return search


def check_search(tuner: object, trials: int) -> None:
    """Checks that a search can begin, before anything is computed or moved for it.

    Raises:
        ValueError: If the tuner's name is unknown, or there are no trials.
    """
    if isinstance(tuner, str):
        check_name(tuner)
    if trials < 1:
        raise ValueError(f"trials must be at least 1. Received: trials={trials}")


def _data(
    labeler: Labeler,
    labelled: Dataset,
    class_weight: str | dict[str, float] | None,
    sampling: str,
    n_folds: int | None,
    extraction: Extraction | None,
) -> tuple[TuningData, str]:
    _, extraction, class_ids = labeler.labelled_features(labelled, extraction)
    weights = class_weights(class_weight, class_ids, labeler.classes, sampling)
    folds = default_folds(len(class_ids)) if n_folds is None else n_folds
    if folds < 2:
        raise ValueError(f"n_folds must be at least 2. Received: n_folds={n_folds}")
    return (
        TuningData(extraction.features, class_ids, len(labeler.classes), folds, weights, labeler.seed),
        extraction.digest,
    )


def _code(hypermodel: object, tuner: object) -> dict[str, Any]:
    """Returns the code that determines how heads are built and chosen."""
    if isinstance(tuner, (str, type)):
        return {"the hypermodel": hypermodel, "the tuner": tuner}
    own = getattr(tuner, "hypermodel", None)
    own = own.inner if isinstance(own, CrossValidated) else own
    objective = str(getattr(getattr(tuner, "oracle", None), "objective", ""))
    return {
        "the hypermodel": own if hypermodel is None else hypermodel,
        "the tuner": [type(tuner), objective],
    }


def _search(labeler: Labeler, data: TuningData, tuner: Any, folder: Path, out: Path | None) -> HeadSearch:
    """Runs the trials, judges the best ones again, and gives the labeler a better head."""
    if not getattr(labeler.head, "compiled", False):
        labeler.compile()
    labeler.restart()
    blank = untrained_copy(labeler.head, data.features)
    default = cross_validate(untrained_copy(blank, data.features), data, labeler.fit_options)
    rows = [_default_row(labeler, metrics_of(default, data.class_ids))]
    logs = folder / "tensorboard"
    log_trial(rows[0], logs)
    total, made_before = tuner.oracle.max_trials or 0, len(tuner.oracle.end_order)
    with progress_of(total, "trials", labeler.progress, lines=True) as advance:
        try:
            run_trials(tuner, logs, advance)
        finally:
            ordered = [tuner.oracle.trials[name] for name in tuner.oracle.start_order]
            rows += [row_of(trial) for trial in ordered]
            if out is not None:
                write_trials(rows, out)
    check_completed(rows[1:])
    with working("judging the best heads again", labeler.progress):
        finals = _finals(tuner, blank, data, labeler.fit_options)
    return _conclude(labeler, tuner, rows, finals, data.class_ids, out, made_before)


def _default_row(labeler: Labeler, metrics: dict[str, float]) -> TrialRow:
    return TrialRow(DEFAULT, "COMPLETED", metrics[OBJECTIVE], metrics[ACCURACY], {"kind": labeler.head.name})


@dataclass(frozen=True, eq=False)
class _Finalist:
    """A head that was judged on several sets of folds.

    Attributes:
        name: the name of its trial.
        hp: its hyperparameters; None for the default.
        probabilities: (n, k) for each set of folds.
    """

    name: str
    hp: Any
    probabilities: list[np.ndarray]

    def losses(self, class_ids: np.ndarray) -> np.ndarray:
        """Returns (n,) the mean log loss of each example."""
        return np.asarray(np.mean([losses_of(one, class_ids) for one in self.probabilities], axis=0))

    def accuracy(self, class_ids: np.ndarray) -> float:
        """Returns the accuracy, in [0, 1]."""
        return float(np.mean([(one.argmax(axis=1) == class_ids).mean() for one in self.probabilities]))


def _finals(tuner: Any, blank: keras.Model, data: TuningData, fit_options: dict[str, Any]) -> list[_Finalist]:
    """Returns the default head first, then the best trials that can be trained again."""
    seeds = [data.seed + offset for offset in OTHER_FOLDS]

    def judged(name: str, hp: object, predict: Callable[[int], np.ndarray]) -> _Finalist:
        return _Finalist(name, hp, [predict(seed) for seed in seeds])

    def default(seed: int) -> np.ndarray:
        return cross_validate(untrained_copy(blank, data.features), data, fit_options, seed)

    finalists = [judged(DEFAULT, None, default)]
    for trial in tuner.oracle.get_best_trials(FINALISTS):
        if trial.status == "COMPLETED":
            hp, model = trial.hyperparameters, tuner.hypermodel

            def again(seed: int, hp: Any = hp, model: Any = model) -> np.ndarray:
                return np.asarray(model.out_of_fold(hp, model.build(hp), seed))

            finalists.append(judged(str(trial.trial_id), hp, again))
    return finalists


def _conclude(
    labeler: Labeler,
    tuner: Any,
    rows: list[TrialRow],
    finalists: list[_Finalist],
    class_ids: np.ndarray,
    out: Path | None,
    made_before: int,
) -> HeadSearch:
    default, *others = finalists
    before_losses = default.losses(class_ids)
    finals = {one.name: _measured(one, before_losses, class_ids) for one in finalists}
    best = min(others, key=lambda one: finals[one.name]["log_loss"])
    before, tuned = finals[default.name], finals[best.name]
    trials = len(rows) - 1
    clear = tuned["gain"] > _demanded(len(class_ids), trials) * tuned["noise"]
    kept = clear and tuned["accuracy"] >= before["accuracy"]
    verb = "took the place of the one before" if kept else "is not clearly better, so the one before stays"
    reason = (
        f"the best of {trials} heads {verb}: on other folds log loss {before['log_loss']:.3f} before and "
        f"{tuned['log_loss']:.3f} tuned, a gain of {tuned['gain']:+.3f} ± {tuned['noise']:.3f}; accuracy "
        f"{before['accuracy']:.1%} and {tuned['accuracy']:.1%}"
    )
    options: dict[str, Any] = labeler.fit_options
    if kept:
        options = tuner.hypermodel.fit_options(best.hp)
        labeler.replace_head(tuner.hypermodel.build(best.hp), **options)
    chosen = next(row for row in rows if row.name == (best.name if kept else DEFAULT))
    return HeadSearch(
        kept, reason, chosen.name, chosen.values, dict(options), tuple(rows), finals, tuner, out, made_before
    )


def _measured(one: _Finalist, before_losses: np.ndarray, class_ids: np.ndarray) -> dict[str, float]:
    """Returns log loss, accuracy, the gain in log loss over the default, and the gain's standard error."""
    losses = one.losses(class_ids)
    gains = before_losses - losses
    return {
        "log_loss": float(losses.mean()),
        "accuracy": one.accuracy(class_ids),
        "gain": float(gains.mean()),
        "noise": standard_error(gains),
    }


def _demanded(n_examples: int, trials: int) -> float:
    """Returns by how many standard errors the best of many trials must be better.

    The best of more trials is luckier. This is Bonferroni's bound: if all of so many heads are only as good
    as the default, then with 95 % probability none passes.
    """
    return float(stats.t.ppf(1.0 - ERROR / max(trials, 1), max(n_examples - 1, 1)))
