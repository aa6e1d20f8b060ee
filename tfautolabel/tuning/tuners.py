"""What runs the trials: a search by name, or any tuner of keras-tuner's."""

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
        """The metrics of a trial's head."""
        return self.hypermodel.fit(trial.hyperparameters, self.hypermodel.build(trial.hyperparameters))

    def save(self) -> None:
        """As keras-tuner's, whole or not at all."""
        self.oracle.save()
        with atomic_write(tuner_file(self)) as file:
            json.dump(self.get_state(), file)


def make_tuner(
    tuner: object, hypermodel: object, data: TuningData, *, trials: int, folder: Path, overwrite: bool
) -> Any:
    """A tuner whose trials are cross-validations.

    Args:
        tuner: a name, a class of tuner, or a tuner, which brings its own trials, folder and seed.
        hypermodel: what builds the heads; of a tuner that has one, None.
        data: what they are judged on.
        trials: how many there are to be.
        folder: of the search.
        overwrite: whether trials that are there are thrown away.

    Raises:
        ValueError: If the name is unknown, or there is no hypermodel or several.
        TypeError: If it is no tuner.
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
    """A tuner of our own that goes on from the trials in a folder, unless they are thrown away."""
    # keras-tuner prints that it reads a project; a library does not print.
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
    """The names that a class's constructor takes, with those that it hands on."""
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
    """Runs the trials that are still to come.

    Args:
        tuner: of whatever class.
        logs: the folder in which each is logged for TensorBoard as it ends.
        advance: told how many have ended: first those that were made before, then each.
    """
    advance(len(tuner.oracle.end_order))

    def ended(trial: object) -> None:
        log_trial(row_of(trial), logs)
        advance(1)

    watch(tuner, ended)
    tuner.search(verbose=0)


def watch(tuner: Any, told: Callable[[Any], None]) -> None:
    """Lets somebody know of each trial that a tuner, of whatever class, has ended."""
    end = tuner.on_trial_end

    def on_trial_end(trial: Any) -> None:
        end(trial)
        told(tuner.oracle.trials[trial.trial_id])

    tuner.on_trial_end = on_trial_end
