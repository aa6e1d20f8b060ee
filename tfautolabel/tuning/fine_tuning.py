"""Tuning of fine-tuning: which part of the backbone learns, how fast, and from which views.

Every trial fine-tunes the backbone once for each fold, so a search takes some minutes for small networks and
few labels, and hours for large ones: a handful of trials is meant.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.heads.folds import stratified_folds
from tfautolabel.labeler import Labeler
from tfautolabel.training import FineTuneSettings
from tfautolabel.training.feature_transfer import untrained_copy
from tfautolabel.training.fine_tune import FineTuning
from tfautolabel.training.first_state import FirstState
from tfautolabel.training.model_transfer import probabilities_by_epoch
from tfautolabel.training.parameters import parameters
from tfautolabel.tuning.cross_validation import ACCURACY, OBJECTIVE, metrics_of
from tfautolabel.tuning.oracles import make_oracle
from tfautolabel.tuning.trials import check_completed, log_trial, row_of, write_trials
from tfautolabel.tuning.tuners import open_tuner, watch

TRIALS = 6
N_FOLDS = 3


class FineTuneHyperModel(keras_tuner.HyperModel):
    """`FineTuneSettings` as a search space; `fit` cross-validates backbone and head together.

    Tuned are the depth (which blocks move), learning rate, the rate's decay towards the first blocks, the
    pull to the start, and for pictures and sounds whether views are drawn.

    Args:
        labeler: whose backbone and head are tuned; both are as before after each trial.
        examples: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: what is not tuned: epochs, sizes of batches, patience.
        class_weight: class id to weight.
        n_folds: of the cross-validation.
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
    ) -> None:
        super().__init__(name="fine_tuning")
        self.labeler, self.examples, self.class_ids = labeler, examples, class_ids
        self.settings = settings or FineTuneSettings()
        self.class_weight, self.n_folds = class_weight, n_folds
        labeler._restart()
        self._blank = untrained_copy(labeler.head, np.zeros((1, labeler.backbone.feature_dim), np.float32))

    def settings_of(self, hp: Any) -> FineTuneSettings:
        """The settings that hyperparameters stand for."""
        blocks = len({parameter.block for parameter in parameters(self.labeler.backbone.network)})
        depths = sorted({max(1, round(blocks * share)) for share in (0.25, 0.5, 0.75)})
        scope = hp.Choice("scope", ["auto", "norm", *(f"last:{depth}" for depth in depths), "all"])
        rate = hp.Float("learning_rate", 1e-5, 3e-3, sampling="log", default=2e-4)
        fixed = asdict(self.settings)
        tuned = {
            "scope": scope,
            "learning_rate": rate,
            "layer_decay": hp.Choice("layer_decay", [0.8, 0.9, 1.0], default=0.9),
            "pull": hp.Choice("pull", [0.0, 0.1, 1.0], default=0.1),
            "augment": self.examples.modality != "text" and hp.Boolean("augment"),
        }
        return FineTuneSettings(**(fixed | tuned))

    def build(self, hp: Any) -> keras.Model:
        """An untrained head; the settings are declared in the hyperparameters."""
        self.settings_of(hp)
        return untrained_copy(self._blank, np.zeros((1, self.labeler.backbone.feature_dim), np.float32))

    def fit(self, hp: Any, model: keras.Model, *_: Any, **__: Any) -> dict[str, float]:
        """Fine-tunes once for each fold, and puts the backbone back."""
        folds = stratified_folds(self.class_ids, self.n_folds, self.labeler.seed)
        first_state = FirstState(model)
        by_fold: list[tuple[np.ndarray, list[np.ndarray]]] = []
        with FineTuning(
            self.labeler.backbone, model, self.examples, self.class_ids, self.settings_of(hp),
            class_weight=self.class_weight, seed=self.labeler.seed, head_options=self.labeler.fit_options,
        ) as tuning:  # fmt: skip
            try:
                for fold in np.unique(folds):
                    first_state.restore()
                    rows = np.flatnonzero(folds == fold)
                    by_fold.append((rows, tuning.run(np.flatnonzero(folds != fold), rows)))
            finally:
                tuning.tuner.restart()
        measured = [metrics_of(whole, self.class_ids) for whole in probabilities_by_epoch(by_fold)]
        return min(measured, key=lambda metrics: metrics[OBJECTIVE])


def tune_fine_tuning(
    labeler: Labeler,
    labelled: Dataset,
    *,
    tuner: str = "random",
    trials: int = TRIALS,
    out: str | os.PathLike[str] | None = None,
    settings: FineTuneSettings | None = None,
    overwrite: bool = True,
) -> dict[str, Any]:
    """Searches for the best `FineTuneSettings`, and gives them to a labeler with `transfer="model"`.

    `labeler.fit` then compares the backbone that is tuned so with the frozen one, as it always does.

    Args:
        labeler: with `transfer="model"`.
        labelled: examples with labels; those without are ignored.
        tuner: a key of `ORACLES`.
        trials: how many there are to be, at least 1.
        out: a folder for the trials, as in `tune_head`.
        settings: what is not tuned.
        overwrite: whether trials in the folder are thrown away, or gone on from.

    Returns:
        What a record has of it: trials, the best one, its settings, log loss and accuracy.

    Raises:
        ValueError: If the labeler's backbone stays frozen, or trials are fewer than 1.
        RuntimeError: If no trial was completed, with the cause.
    """
    if labeler.transfer != "model" or trials < 1:
        raise ValueError(
            'fine-tuning is tuned for a labeler with transfer="model", with at least 1 trial. Received: '
            f"transfer={labeler.transfer!r}, trials={trials}"
        )
    labelled = labelled.labelled.with_classes(labeler.classes)
    extraction = labeler.extract(labelled)
    examples = labelled.subset(extraction.rows)
    with ExitStack() as stack:
        folder = Path(out or stack.enter_context(tempfile.TemporaryDirectory()))
        model = FineTuneHyperModel(labeler, examples, examples.class_ids, settings=settings)
        objective = keras_tuner.Objective(OBJECTIVE, "min")
        searched = open_tuner(make_oracle(tuner, objective, trials, labeler.seed), model, folder, overwrite)
        watch(searched, lambda trial: log_trial(row_of(trial), folder / "tensorboard"))
        searched.search(verbose=0)
        rows = [row_of(searched.oracle.trials[name]) for name in searched.oracle.start_order]
        if out is not None:
            write_trials(rows, folder)
    check_completed(rows)
    best = searched.oracle.get_best_trials(1)[0]
    labeler.transfer_settings = model.settings_of(best.hyperparameters)
    return {
        "trials": len(rows),
        "failed": sum(row.status == "FAILED" for row in rows),
        "best": best.trial_id,
        "settings": asdict(labeler.transfer_settings),
        "log_loss": best.metrics.get_best_value(OBJECTIVE),
        "accuracy": best.metrics.get_last_value(ACCURACY),
    }
