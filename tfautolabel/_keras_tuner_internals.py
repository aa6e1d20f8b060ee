"""All that this package uses of keras-tuner and that keras-tuner does not promise; each has a test.

A new version that breaks one of them fails in `tests/test_keras_tuner_internals.py`, by its name.
`Oracle._save_trial` and `Oracle._retry_queue` are used where `tuning/oracles.py` overrides them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def is_tuner(value: object) -> bool:
    """Whether a value is a tuner, with or without a loop of trials of its own."""
    import keras_tuner

    return isinstance(value, keras_tuner.engine.base_tuner.BaseTuner)


def find_space(tuner: Any) -> None:
    """Builds a tuner's hypermodel until all of its hyperparameters are known."""
    tuner._populate_initial_space()


def tuner_file(tuner: Any) -> Path:
    """Where a tuner keeps its state."""
    return Path(tuner._get_tuner_fname())


def oracle_file(oracle: Any) -> Path:
    """Where an oracle keeps its state."""
    return Path(oracle._get_oracle_fname())


def trial_file(oracle: Any, trial_id: str) -> Path:
    """Where an oracle keeps a trial."""
    return Path(oracle._get_trial_dir(trial_id)) / "trial.json"


def random_values(oracle: Any) -> dict[str, Any]:
    """What an oracle answers that takes values at random: a status and the values."""
    found: dict[str, Any] = oracle._random_populate_space()
    return found


def tried_points(oracle: Any) -> tuple[np.ndarray, np.ndarray]:
    """(t, d) points of the trials so far in the unit cube, and (t,) scores, the lower the better."""
    points, scores = oracle._vectorize_trials()
    return points, scores


def gaussian_process(oracle: Any) -> Any:
    """The scikit-learn regressor of a Bayesian oracle, not fitted."""
    return oracle._make_gpr()


def values_at(oracle: Any, point: np.ndarray) -> dict[str, Any]:
    """The values of hyperparameters at a (d,) point of the unit cube."""
    found: dict[str, Any] = oracle._vector_to_values(point)
    return found


def was_tried(oracle: Any, values: dict[str, Any]) -> bool:
    """Whether a trial had these values."""
    return bool(oracle._duplicate(values))


def dimensions(oracle: Any) -> list[Any]:
    """The hyperparameters that are not fixed, in the order of a point's numbers."""
    return list(oracle._nonfixed_space())
