"""Audits of a random sample of the labels that may stop as soon as the evidence is enough."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfautolabel.trust.betting import FRACTIONS, STAKES, log_wealth
from tfautolabel.trust.binomial import check_levels

_TOLERANCE = 1e-6
_MOST = 10_000_000


def draw_audit(count: int, n: int, seed: int = 0) -> np.ndarray:
    """Draws a simple random sample without replacement, in the order in which to look at it.

    With the same seed, a larger sample begins with the smaller one. So an audit can continue where it ended.

    Args:
        count: how many labels there are, such as all the accepted ones.
        n: how many of them to look at; at most `count` are drawn.
        seed: determines the order.

    Returns:
        (min(n, count),) int64, indices in [0, count).

    Raises:
        ValueError: If a count is negative.

    Examples:
        >>> sample = draw_audit(1000, 60)
        >>> bool((draw_audit(1000, 59) == sample[:59]).all()), len(set(sample))
        (True, 60)
    """
    if count < 0 or n < 0:
        raise ValueError(f"counts must not be negative. Received: count={count}, n={n}")
    return np.random.default_rng(seed).permutation(count)[:n]


class SequentialAudit:
    """An audit whose result may be read after every answer, and which may stop at any time.

    Args:
        target_error: in (0, 1), the largest acceptable share of wrong labels.
        confidence: in (0, 1). If the share is above the target, the chance that the audit ever says `reached`
            is at most one minus this, for any stopping rule.
        pool_size: how many labels the sample is drawn from without replacement; None for a pool so large that
            its size makes no difference.

    Raises:
        ValueError: If a level is not in (0, 1) or the pool is empty.

    Examples:
        >>> audit = SequentialAudit(target_error=0.05)
        >>> audit.expected_more()
        62
        >>> audit.update([True] * 62).reached, audit.n, audit.errors
        (True, 62, 0)
    """

    def __init__(self, target_error: float, confidence: float = 0.95, pool_size: int | None = None) -> None:
        check_levels(target_error, confidence)
        if pool_size is not None and pool_size < 1:
            raise ValueError(f"a pool has at least one label. Received: pool_size={pool_size}")
        self.target_error = target_error
        self.confidence = confidence
        self.pool_size = pool_size
        self._wrong = np.zeros(0, bool)

    def update(self, correct: bool | Iterable[bool]) -> SequentialAudit:
        """Adds one or several answers, in the order in which the sample was drawn.

        Args:
            correct: whether the label was right.

        Returns:
            Itself.

        Raises:
            ValueError: If there are more answers than labels in the pool.
        """
        given = np.atleast_1d(np.asarray(correct if isinstance(correct, bool) else list(correct), bool))
        answers = np.concatenate([self._wrong, ~given])
        if self.pool_size is not None and len(answers) > self.pool_size:
            raise ValueError(
                f"an audit looks at each of {self.pool_size} labels once. Received: {len(answers)} answers"
            )
        self._wrong = answers
        return self

    @property
    def n(self) -> int:
        """How many labels have an answer."""
        return len(self._wrong)

    @property
    def errors(self) -> int:
        """How many of them were wrong."""
        return int(self._wrong.sum())

    @property
    def e_value(self) -> float:
        """The evidence so far that the share of wrong labels is at most the target; it starts at 1."""
        return math.exp(min(float(self._path()[-1]), 700.0))

    @property
    def p_value(self) -> float:
        """One divided by the largest evidence at any time so far, at most 1."""
        return math.exp(-max(float(self._path().max()), 0.0))

    @property
    def reached(self) -> bool:
        """Whether the target was certified at any time so far."""
        return float(self._path().max()) >= -math.log(1.0 - self.confidence)

    @property
    def upper_bound(self) -> float:
        """Returns an upper bound for the share of wrong labels that is valid at all times simultaneously."""
        if self.n == 0:
            return 1.0
        level = -math.log(1.0 - self.confidence)
        low, high = self.errors / (self.pool_size or self.n), 1.0
        if self.pool_size is None:
            low = 0.0
            while high - low > _TOLERANCE:
                middle = (low + high) / 2.0
                refuted = float(log_wealth(self._wrong, np.array([middle])).max()) >= level
                low, high = (low, middle) if refuted else (middle, high)
            return high
        # The largest number of wrong labels that is not refuted yet, divided by the pool's size.
        fewest, most = self.errors, self.pool_size - (self.n - self.errors)
        while fewest < most:
            middle = (fewest + most + 1) // 2
            wealth = log_wealth(self._wrong, np.array([middle]), self.pool_size)
            refuted = middle > 0 and float(wealth.max()) >= level
            fewest, most = (fewest, middle - 1) if refuted else (middle, most)
        return most / self.pool_size

    def expected_more(self) -> int | None:
        """Returns how many more answers are likely needed, if the error rate stays the same.

        Until the first error, no errors are expected. The pool's size only limits the result: the number is
        at most the rest of the pool.

        Returns:
            The number, 0 once the target is reached; None if the labels seem to be worse than the target.
        """
        if self.reached:
            return 0
        rate = self.errors / self.n if self.n else 0.0
        if rate >= self.target_error:
            return None
        with np.errstate(divide="ignore"):
            logs = np.log(FRACTIONS)
        # 0 x log(0) is 0: without an error, an audit has lost nothing on the largest bet.
        of_error = np.zeros(len(FRACTIONS)) if rate == 0.0 else rate * logs
        steps = of_error + (1.0 - rate) * (
            np.log1p(-FRACTIONS * self.target_error) - np.log1p(-self.target_error)
        )
        level = -math.log(1.0 - self.confidence)

        def is_enough(n: int) -> bool:
            return bool(np.logaddexp.reduce(n * steps + np.log(STAKES)) >= level)

        most = _MOST if self.pool_size is None else self.pool_size
        if not is_enough(most):
            return None if self.pool_size is None else most - self.n
        low, high = self.n, most
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
        return max(low - self.n, 1)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings and all answers, ready for JSON; `from_dict` continues from there."""
        return {
            "target_error": self.target_error,
            "confidence": self.confidence,
            "pool_size": self.pool_size,
            "correct": (~self._wrong).tolist(),
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> SequentialAudit:
        """Restores what `to_dict` returned."""
        audit = cls(entries["target_error"], entries["confidence"], entries["pool_size"])
        return audit.update(entries["correct"])

    def _path(self) -> np.ndarray:
        """Returns (n + 1,) the logarithm of the evidence after each answer, starting with 0."""
        if self.pool_size is None:
            wealth = log_wealth(self._wrong, np.array([self.target_error]))
        else:
            claimed = math.floor(self.target_error * self.pool_size + 1e-9) + 1
            wealth = log_wealth(self._wrong, np.array([claimed]), self.pool_size)
        return np.concatenate([[0.0], wealth[0]])
