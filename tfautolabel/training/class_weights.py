"""Class weights for training, when some classes have more examples than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from tfautolabel.data.shares import share_weights

BALANCED = "balanced"


def class_weights(
    given: str | Mapping[str, float] | None,
    class_ids: np.ndarray,
    classes: Sequence[str],
    sampling: str = "unknown",
) -> dict[int, float] | None:
    """Converts weights from a user to class weights for `keras.Model.fit`.

    Args:
        given: "balanced" to give all classes the same total weight, a positive weight for some class names
            (the others weigh 1), or None to let each class count for the share that it is believed to have.
        class_ids: (n,) int64 in [0, k), at least one of each class if `given` is "balanced".
        classes: k names.
        sampling: how the examples were selected, a key of `tfautolabel.data.shares.SAMPLINGS`; it determines
            these shares. It has no effect if weights are given.

    Returns:
        Class id to weight, or None if every example weighs the same.

    Raises:
        ValueError: If `given` is something else or the sampling is unknown.

    Examples:
        >>> class_weights("balanced", np.array([0, 0, 0, 1]), ["cat", "dog"])
        {0: 0.6666666666666666, 1: 2.0}
    """
    believed = share_weights(class_ids, len(classes), sampling)
    if given is None:
        return believed
    if isinstance(given, str) and given == BALANCED:
        counts = np.bincount(class_ids, minlength=len(classes))
        return {i: len(class_ids) / (len(classes) * int(count)) for i, count in enumerate(counts)}
    valid = isinstance(given, Mapping) and all(
        name in classes and isinstance(weight, Real) and 0.0 < weight < float("inf")
        for name, weight in given.items()
    )
    if not valid:
        raise ValueError(
            f"class_weight is 'balanced' or a positive number for names among {', '.join(classes)}. "
            f"Received: class_weight={given!r}"
        )
    return {i: float(given.get(name, 1.0)) for i, name in enumerate(classes)}  # type: ignore[union-attr]
