"""Earlier labelled sets, as a meta-learner learns from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfautolabel.heads.normalization import SMALL, SQUARE_ROOT


@dataclass(frozen=True, eq=False)
class Task:
    """A labelled set.

    Attributes:
        features: (n, d) float32.
        class_ids: (n,) int64 >= 0. Those of one task have nothing to do with those of another.

    Raises:
        ValueError: If the shapes do not fit, a value is not finite, or there are fewer than two classes.
    """

    features: np.ndarray
    class_ids: np.ndarray

    def __post_init__(self) -> None:
        features, class_ids = np.asarray(self.features, np.float32), np.asarray(self.class_ids)
        if features.ndim != 2 or class_ids.shape != features.shape[:1] or class_ids.dtype.kind not in "iu":
            raise ValueError(
                "a task is features of shape (n, d) and integer class ids of shape (n,). Received: shapes "
                f"{features.shape} and {class_ids.shape}, class ids of type {class_ids.dtype}"
            )
        if not np.isfinite(features).all():
            raise ValueError("a task's features must be finite. Received: features with NaN or infinity")
        if len(np.unique(class_ids)) < 2:
            raise ValueError(
                f"a task has examples of two classes or more. Received: {len(np.unique(class_ids))}"
            )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "class_ids", class_ids.astype(np.int64))


def common_power(tasks: list[Task]) -> float:
    """Returns the power that features are raised to, as `PowerNormalization` chooses it."""
    return SQUARE_ROOT if min(float(task.features.min()) for task in tasks) >= 0.0 else 1.0


def normalized(task: Task, power: float) -> Task:
    """Returns the task with features raised to a power and scaled to length one."""
    raised = np.sign(task.features) * (np.abs(task.features) + SMALL) ** power
    length = np.linalg.norm(raised, axis=1, keepdims=True)
    return Task((raised / np.maximum(length, 1e-7)).astype(np.float32), task.class_ids)
