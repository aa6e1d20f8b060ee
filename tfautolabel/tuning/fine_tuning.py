"""Tunes fine-tuning: which part of the backbone learns, how fast, and from which views.

Every trial fine-tunes the backbone once for each fold. So a search takes some minutes for small networks and
few labels, and hours for large networks. It is meant for a handful of trials.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.errors import FatalError

from tfautolabel._progress import progress_of
from tfautolabel._scratch import temporary_folder
from tfautolabel.data import Dataset
from tfautolabel.data.folds import stratified_folds, twin_numbers
from tfautolabel.labeler import Labeler
from tfautolabel.labeler.transfer import check_trainable
from tfautolabel.training import FineTuneSettings
from tfautolabel.training.class_weights import class_weights
from tfautolabel.training.do_no_harm import probabilities_by_epoch
from tfautolabel.training.feature_transfer import untrained_copy
from tfautolabel.training.fine_tune import FineTuning
from tfautolabel.training.first_state import FirstState
from tfautolabel.training.moving_part import DivergedError, OutOfTimeError
from tfautolabel.training.parameters import parameters
from tfautolabel.tuning.cross_validation import ACCURACY, OBJECTIVE, metrics_of
from tfautolabel.tuning.oracles import check_name, make_oracle
from tfautolabel.tuning.resume import Key, begun, key_of, mark, set_aside
from tfautolabel.tuning.trials import DEFAULT, TrialRow, check_completed, log_trial, row_of, write_trials
from tfautolabel.tuning.tuners import open_tuner, run_trials

TRIALS = 6
N_FOLDS = 3


class FineTuneHyperModel(keras_tuner.HyperModel):
    """`FineTuneSettings` as a search space; `fit` cross-validates backbone and head together.

    The search tunes the depth (which blocks learn), the learning rate, its decay towards the first blocks,
    the pull to the start, and for pictures and sounds the strength of augmentation.

    Args:
        labeler: its backbone and head are tuned; after each trial both are as before.
        examples: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: the settings that are not tuned: epochs, batch sizes, patience.
        class_weight: class id to weight.
        n_folds: how many folds the cross-validation has.
        groups: (n,) int64, equal for copies of one example, which are held out together.
        until: a time of `time.monotonic` at which all trials must be over.
    """

    def __init__(
        self,
        labeler: Labeler,
        examples: Dataset,
        class_ids: np.ndarray,
        *,
        settings: FineTuneSettings | None = None,
        class_weight: dict[int, float] | None = None,
        n_folds: int = N_FOLDS,
        groups: np.ndarray | None = None,
        until: float | None = None,
    ) -> None:
        super().__init__(name="fine_tuning")
        self.labeler, self.examples, self.class_ids = labeler, examples, class_ids
        self.settings = settings or FineTuneSettings()
        self.class_weight, self.n_folds, self.until = class_weight, n_folds, until
        self.groups = groups
        labeler.restart()
        self._blank = untrained_copy(labeler.head, np.zeros((1, labeler.backbone.feature_dim), np.float32))

    def settings_of(self, hp: keras_tuner.HyperParameters) -> FineTuneSettings:
        """Returns the settings for hyperparameters."""
        blocks = len({parameter.block for parameter in parameters(self.labeler.backbone.network)})
        depths = sorted({max(1, round(blocks * share)) for share in (0.25, 0.5, 0.75)})
        tuned = {
            "scope": hp.Choice("scope", ["auto", "norm", *(f"last:{depth}" for depth in depths), "all"]),
            "learning_rate": hp.Float("learning_rate", 1e-5, 3e-3, sampling="log", default=2e-4),
            "layer_decay": hp.Choice("layer_decay", [0.8, 0.9, 1.0], default=0.9),
            "pull": hp.Choice("pull", [0.0, 0.1, 1.0], default=0.1),
        }
        if self.examples.modality != "text":
            tuned["augment"] = hp.Choice("augment", [0.0, 0.3, 0.6, 1.0])
        return replace(self.settings, **tuned)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns an untrained head, and declares the settings in the hyperparameters."""
        self.settings_of(hp)
        return self._head()

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *_: Any, **__: Any
    ) -> dict[str, float]:
        """Fine-tunes once for each fold, and resets the backbone."""
        return self._measure(model, self.settings_of(hp))

    def measure_default(self) -> dict[str, float]:
        """Returns the same measures for the default settings."""
        return self._measure(self._head(), self.settings)

    def _head(self) -> keras.Model:
        return untrained_copy(self._blank, np.zeros((1, self.labeler.backbone.feature_dim), np.float32))

    def _measure(self, head: keras.Model, settings: FineTuneSettings) -> dict[str, float]:
        folds = stratified_folds(self.class_ids, self.n_folds, self.labeler.seed, groups=self.groups)
        first_state = FirstState(head)
        by_fold: list[tuple[np.ndarray, list[np.ndarray]]] = []
        with FineTuning(
            self.labeler.backbone, head, self.examples, self.class_ids, settings,
            class_weight=self.class_weight, seed=self.labeler.seed, head_options=self.labeler.fit_options,
        ) as tuning:  # fmt: skip
            try:
                for fold in np.unique(folds):
                    first_state.restore()
                    rows = np.flatnonzero(folds == fold)
                    predicted = tuning.run(np.flatnonzero(folds != fold), rows, until=self.until)
                    by_fold.append((rows, predicted))
            except OutOfTimeError as error:
                raise _NoTimeLeft from error
            finally:
                tuning.part.restart()
        measured = [metrics_of(whole, self.class_ids) for whole in probabilities_by_epoch(by_fold)]
        return min(measured, key=lambda metrics: metrics[OBJECTIVE])


class _NoTimeLeft(FatalError):  # noqa: N818 - no error of the trial: keras-tuner ends a search for it
    """A trial would not end in time."""


@dataclass(frozen=True, eq=False)
class FineTuneSearch:
    """The result of a search for `FineTuneSettings`.

    Attributes:
        settings: the best settings, which the labeler now has.
        best: the name of their trial; "default" for the settings from before the search.
        rows: the trials, "default" first; empty if the time was too short even for this one.
        in_time: whether there was enough time for all trials.
    """

    settings: FineTuneSettings
    best: str
    rows: tuple[TrialRow, ...]
    in_time: bool

    @property
    def reason(self) -> str:
        """Returns the result in a sentence."""
        cut = "" if self.in_time else ", as far as time allowed"
        if not self.rows:
            return "no way to fine-tune could be tried in the time that there is, so the usual one stays"
        tried = len(self.rows) - 1
        way = f"scope={self.settings.scope}"
        if self.settings.learning_rate is not None:
            way += f" at a learning rate of {self.settings.learning_rate:.2g}"
        way = "the usual one" if self.best == DEFAULT else way
        loss, accuracy = self._measured(self.best)
        before, _ = self._measured(DEFAULT)
        if loss is None:
            return f"neither the usual way to fine-tune nor one of {tried} others{cut} came to its end"
        usual = "the usual way diverged" if before is None else f"{before:.3f} the usual way"
        return (
            f"of the usual way to fine-tune and {tried} others{cut}, {way} was the best: cross-validated log "
            f"loss {loss:.3f} ({usual}), accuracy {accuracy:.1%}"
        )

    def _measured(self, name: str) -> tuple[float | None, float | None]:
        row = next(row for row in self.rows if row.name == name)
        return row.loss, row.accuracy

    def to_dict(self) -> dict[str, Any]:
        """Returns the result for a record, ready for JSON."""
        measured = self._measured(self.best) if self.rows else (None, None)
        return {
            "reason": self.reason,
            "trials": max(len(self.rows) - 1, 0),
            "failed": sum(row.status == "FAILED" for row in self.rows),
            "in_time": self.in_time,
            "best": self.best,
            "settings": asdict(self.settings),
            "log_loss": measured[0],
            "accuracy": measured[1],
        }


def tune_fine_tuning(
    labeler: Labeler,
    labelled: Dataset,
    *,
    tuner: str = "random",
    trials: int = TRIALS,
    out: str | os.PathLike[str] | None = None,
    settings: FineTuneSettings | None = None,
    class_weight: str | dict[str, float] | None = None,
    sampling: str = "unknown",
    until: float | None = None,
) -> FineTuneSearch:
    """Searches for the best `FineTuneSettings`, and gives them to a labeler with `transfer="model"`.

    The search also tries the existing settings, so that the result is not worse. `labeler.fit` then compares
    the tuned backbone with the frozen one, as always. A search in the same folder, on the same examples and
    with the same settings, continues where it stopped.

    Args:
        labeler: a labeler with `transfer="model"`.
        labelled: examples with labels; those without are ignored.
        tuner: a key of `ORACLES`.
        trials: how many trials to make, at least 1.
        out: a folder for the trials, as in `tune_head`.
        settings: the settings that are not tuned; by default the labeler's, or else the usual ones.
        class_weight: as in `Labeler.fit`.
        sampling: as in `Labeler.fit`.
        until: a time of `time.monotonic` at which the search must be over; it takes the best trial so far.

    Returns:
        The result of the search.

    Raises:
        ValueError: If the labeler's backbone stays frozen or cannot be trained, the tuner's name is unknown,
            or `trials` is below 1.
        RuntimeError: If no trial was completed although there was time; says the cause.
    """
    if labeler.transfer != "model" or trials < 1:
        raise ValueError(
            'fine-tuning is tuned for a labeler with transfer="model", with at least 1 trial. Received: '
            f"transfer={labeler.transfer!r}, trials={trials}"
        )
    check_name(tuner)
    if settings is None and isinstance(labeler.transfer_settings, FineTuneSettings):
        settings = labeler.transfer_settings
    check_trainable(labeler.transfer, labeler.backbone, settings)
    labelled, extraction, class_ids = labeler.labelled_features(labelled)
    model = FineTuneHyperModel(
        labeler,
        labelled.subset(extraction.rows),
        class_ids,
        settings=settings,
        class_weight=class_weights(class_weight, class_ids, labeler.classes, sampling),
        groups=twin_numbers(extraction.features),
        until=until,
    )
    with ExitStack() as stack:
        folder = Path(out or stack.enter_context(temporary_folder()))
        described = {"the tuner": tuner, "the folds": model.n_folds, "the settings": asdict(model.settings)}
        key = key_of(labeler, extraction.digest, class_ids, model.class_weight, code={}, settings=described)
        found = begun(folder, key)
        if found is None:
            set_aside(folder, key)
        objective = keras_tuner.Objective(OBJECTIVE, "min")
        oracle = make_oracle(tuner, objective, trials, labeler.seed)
        searched = open_tuner(oracle, model, folder, overwrite=found is None)
        rows, in_time = _search(searched, model, folder, key, found or {}, labeler.progress)
        if out is not None and rows:
            write_trials(rows, folder)
    if in_time:
        check_completed(rows[1:])
    completed = [row for row in rows if row.loss is not None]
    best = min(completed, key=lambda row: row.loss or 0.0).name if completed else DEFAULT
    chosen = model.settings
    if best != DEFAULT:
        chosen = model.settings_of(searched.oracle.trials[best].hyperparameters)
    labeler.transfer_settings = chosen
    return FineTuneSearch(chosen, best, tuple(rows), in_time)


def _search(
    tuner: Any, model: FineTuneHyperModel, folder: Path, key: Key, known: dict[str, Any], progress: bool
) -> tuple[list[TrialRow], bool]:
    """Returns the trials, the default settings first, and whether there was time for all."""
    logs = folder / "tensorboard"
    in_time = True
    with progress_of(tuner.oracle.max_trials, "ways to fine-tune", progress, lines=True) as advance:
        try:
            default = known.get("default") or model.measure_default()
        except DivergedError as error:
            default = {"error": str(error)}
        except _NoTimeLeft:
            return [], False
        mark(folder, key, default=default)
        rows = [_default_row(model.settings, default)]
        log_trial(rows[0], logs)
        try:
            run_trials(tuner, logs, advance)
        except _NoTimeLeft:
            in_time = False
    ended_trials = [tuner.oracle.trials[name] for name in tuner.oracle.start_order]
    return rows + [row_of(trial) for trial in ended_trials if trial.status != "RUNNING"], in_time


def _default_row(settings: FineTuneSettings, metrics: dict[str, Any]) -> TrialRow:
    names = ("scope", "learning_rate", "layer_decay", "pull", "augment")
    values = {name: value for name, value in asdict(settings).items() if name in names and value is not None}
    if "error" in metrics:
        return TrialRow(DEFAULT, "FAILED", None, None, values, metrics["error"])
    return TrialRow(DEFAULT, "COMPLETED", metrics[OBJECTIVE], metrics[ACCURACY], values)
