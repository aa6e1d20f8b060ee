"""keras-tuner's oracles, changed so that a killed process resumes exactly where it was.

The original oracles forget a random state, read trials in file system order, count a trial that was written
before the oracle's own state, and leave half-written files if they are killed.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from sklearn.exceptions import ConvergenceWarning

from tfautolabel._keras_tuner_internals import (
    dimensions,
    gaussian_process,
    oracle_file,
    random_values,
    trial_file,
    tried_points,
    values_at,
    was_tried,
)
from tfautolabel.data.atomic import atomic_write

CANDIDATES = 400
"""How many points the Gaussian process chooses from; half of them are near the best trials."""

RESTARTS = 2
"""How many restarts the fit of its one length scale has; keras-tuner uses twenty."""

HYPERBAND_EPOCHS, HYPERBAND_FACTOR = 60, 4
"""With these, Hyperband's first bracket has 22 trials of 4 epochs, the best 6 of 15 and the best 2 of 60."""


class _Resumable(keras_tuner.Oracle):
    """Writes only complete files, and reads them in their order."""

    trials: dict[str, Any]
    _retry_queue: list[str]

    def save(self) -> None:
        """Saves like keras-tuner, but completely or not at all."""
        _write(oracle_file(self), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        _write(trial_file(self, trial.trial_id), trial.get_state())

    def reload(self) -> None:
        """Reloads like keras-tuner, without trials that began after the state was written."""
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order}
        # The end of a trial is written twice; between the two, the trial counts as ended and as running.
        self._retry_queue = [name for name in self._retry_queue if name not in self.end_order]


class _Random(_Resumable, oracles.RandomSearchOracle):
    pass


class _Bayesian(_Resumable, oracles.BayesianOptimizationOracle):
    """Takes the most promising of many random points; an optimiser for a better one would take seconds."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002
        """Returns untried values that are most promising for the Gaussian process."""
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(done) < self.num_initial_points:
            return random_values(self)
        known, scores = tried_points(self)
        process = gaussian_process(self).set_params(n_restarts_optimizer=RESTARTS)
        with warnings.catch_warnings():
            # A warning about a length scale at its bound does not help the user.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(known, scores)
        # A generator that depends only on the seed and the trial needs no saved state.
        rng = np.random.default_rng([self.seed, len(self.trials)])
        near = known[np.argsort(scores)[: CANDIDATES // 100]]
        around = np.repeat(near, CANDIDATES // (2 * len(near)), axis=0)
        around = np.clip(around + rng.normal(0.0, 0.1, around.shape), 0.0, 1.0)
        points = np.concatenate([around, rng.uniform(size=(CANDIDATES // 2, known.shape[1]))])
        proposed = [values_at(self, point) for point in points]
        mean, deviation = process.predict(np.array([self._point(v) for v in proposed]), return_std=True)
        for number in np.argsort(mean - self.beta * deviation, kind="stable"):
            if not was_tried(self, proposed[number]):
                return {"status": "RUNNING", "values": proposed[number]}
        return {"status": "STOPPED", "values": None}

    def _point(self, values: dict[str, Any]) -> list[float]:
        """Returns values as a point in the unit cube; inactive hyperparameters have their default."""
        space = dimensions(self)
        return [hp.value_to_prob(values.get(hp.name, hp.default)) for hp in space]


class _Hyperband(_Resumable, oracles.HyperbandOracle):
    pass


def check_name(name: str) -> None:
    """Checks the name of a search.

    Raises:
        ValueError: If the name is not in `ORACLES`.
    """
    if name not in ORACLES:
        raise ValueError(
            f"tuner must be one of {', '.join(ORACLES)}, or a keras_tuner.Tuner. Received: {name!r}"
        )


def make_oracle(name: str, objective: object, trials: int, seed: int) -> keras_tuner.Oracle:
    """Makes an oracle by name.

    Args:
        name: a key of `ORACLES`.
        objective: a `keras_tuner.Objective`.
        trials: how many trials to make.
        seed: at least 0.

    Raises:
        ValueError: If the name is unknown.
    """
    check_name(name)
    # keras-tuner ignores a seed of 0. A trial that failed once fails again; no failure ends the search.
    shared = {"objective": objective, "seed": seed + 1, "max_consecutive_failed_trials": trials + 1}
    oracle = ORACLES[name](**shared, **_OPTIONS.get(name, {}))
    oracle.max_trials = trials
    return oracle


ORACLES: dict[str, Any] = {"random": _Random, "bayesian": _Bayesian, "hyperband": _Hyperband}
"""The searches that have names."""

_OPTIONS: dict[str, dict[str, Any]] = {
    # keras-tuner's default, three for each hyperparameter, is more than all trials of a usual search.
    "bayesian": {"num_initial_points": 10},
    "hyperband": {
        "max_epochs": HYPERBAND_EPOCHS,
        "factor": HYPERBAND_FACTOR,
        "hyperband_iterations": None,
    },
}


def _write(path: str | Path, state: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(state, file, indent=1)
