"""Runs the trials, with a search by name or any keras-tuner tuner."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from tfautolabel._keras_tuner_internals import find_space, is_tuner, tuner_file
from tfautolabel.data.atomic import atomic_write
from tfautolabel.tuning.cross_validation import OBJECTIVE, CrossValidated, TuningData
from tfautolabel.tuning.oracles import make_oracle
from tfautolabel.tuning.resume import TRIALS
from tfautolabel.tuning.trials import log_trial, row_of


class HeadTuner(keras_tuner.Tuner):
    """Runs a trial as a cross-validation: nothing to checkpoint, and no Keras state to clear."""

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> Any:
        """Returns the metrics of a trial's head."""
        return self.hypermodel.fit(trial.hyperparameters, self.hypermodel.build(trial.hyperparameters))

    def save(self) -> None:
        """Saves like keras-tuner, but completely or not at all."""
        self.oracle.save()
        with atomic_write(tuner_file(self)) as file:
            json.dump(self.get_state(), file)


def make_tuner(
    tuner: object, hypermodel: object, data: TuningData, *, trials: int, folder: Path, overwrite: bool
) -> Any:
    """Returns a tuner whose trials are cross-validations.

    Args:
        tuner: a name, a tuner class, or a tuner, which has its own trials, folder and seed.
        hypermodel: builds the heads; None if the tuner has one.
        data: the data that the heads are judged on.
        trials: how many trials to make.
        folder: the folder of the search.
        overwrite: whether existing trials are deleted.

    Raises:
        ValueError: If the name is unknown, or there is no hypermodel or more than one.
        TypeError: If `tuner` is not a tuner.
    """
    if is_tuner(tuner):
        return _adopted(tuner, hypermodel, data)
    if hypermodel is None:
        raise ValueError("a search needs a hypermodel. Received: hypermodel=None")
    judged = CrossValidated(hypermodel, data)
    objective = keras_tuner.Objective(OBJECTIVE, "min")
    if isinstance(tuner, str):
        return open_tuner(make_oracle(tuner, objective, trials, data.seed), judged, folder, overwrite)
    if not (isinstance(tuner, type) and issubclass(tuner, keras_tuner.Tuner)):
        raise TypeError(f"tuner is a name, a keras_tuner.Tuner or a class of them. Received: {tuner!r}")
    wanted = {"objective": objective, "max_trials": trials, "seed": data.seed + 1}
    wanted["max_consecutive_failed_trials"] = trials + 1
    taken = _parameters(tuner)
    options = {name: value for name, value in wanted.items() if name in taken}
    with contextlib.redirect_stdout(io.StringIO()):
        return tuner(hypermodel=judged, **options, **_place(folder, overwrite))


def open_tuner(
    oracle: keras_tuner.Oracle, hypermodel: keras_tuner.HyperModel, folder: Path, overwrite: bool
) -> HeadTuner:
    """Returns our own tuner; it continues from the trials in a folder, unless they are overwritten."""
    # keras-tuner prints that it reads a project; a library should not print.
    with contextlib.redirect_stdout(io.StringIO()):
        return HeadTuner(oracle, hypermodel, **_place(folder, overwrite))


def _place(folder: Path, overwrite: bool) -> dict[str, Any]:
    return {"directory": str(folder), "project_name": TRIALS, "overwrite": overwrite}


def _adopted(tuner: Any, hypermodel: Any, data: TuningData) -> Any:
    own = tuner.hypermodel
    own = own.inner if isinstance(own, CrossValidated) else own
    if (own is None) == (hypermodel is None):
        given = "none" if own is None else "both"
        raise ValueError(
            f"the hypermodel is given either to the tuner or as hypermodel=, not to both. Received: {given}"
        )
    tuner.hypermodel = CrossValidated(own if hypermodel is None else hypermodel, data)
    if own is None:
        find_space(tuner)
    return tuner


def _parameters(kind: type) -> set[str]:
    """Returns the names of a constructor's parameters, including those that it passes on."""
    names: set[str] = set()
    for parent in kind.__mro__:
        if "__init__" not in vars(parent):
            continue
        taken = inspect.signature(vars(parent)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in taken}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            break
    return names


def run_trials(tuner: Any, logs: Path, advance: Callable[[int], None]) -> None:
    """Runs the remaining trials.

    Args:
        tuner: a tuner of any class.
        logs: the folder for the TensorBoard log of each trial, written when it ends.
        advance: called with the number of ended trials: first with the earlier ones, then after each trial.
    """
    advance(len(tuner.oracle.end_order))

    def ended(trial: object) -> None:
        log_trial(row_of(trial), logs)
        advance(1)

    watch(tuner, ended)
    tuner.search(verbose=0)


def watch(tuner: Any, told: Callable[[Any], None]) -> None:
    """Calls `told` after each trial that a tuner of any class has ended."""
    end = tuner.on_trial_end

    def on_trial_end(trial: Any) -> None:
        end(trial)
        told(tuner.oracle.trials[trial.trial_id])

    tuner.on_trial_end = on_trial_end
