"""Chooses what to ask: most by a query strategy, a share at random."""

from __future__ import annotations

import hashlib

import numpy as np

from tfautolabel.active import PoolGeometry, PoolState, next_batch, random_order
from tfautolabel.active.strategies import RANDOM, SEQUENTIAL
from tfautolabel.review.learner import Lesson
from tfautolabel.review.material import Material
from tfautolabel.review.questions import Question
from tfautolabel.review.settings import ReviewSettings
from tfautolabel.runs.answers import Answers
from tfautolabel.runs.ledger import Ledger


class Teacher:
    """Chooses examples that teach the head, and keeps the random sample of a session.

    Args:
        material: the examples.
        answers: the store, which remembers how each example was chosen and how long the random sample is.
        settings: strategy, random share and seed.

    Attributes:
        asked: id to the strategy that chose an example, and whether it is in the random sample.
    """

    def __init__(self, material: Material, answers: Answers, settings: ReviewSettings) -> None:
        self._material, self._answers, self._settings = material, answers, settings
        self._geometry = PoolGeometry(material.features, settings.seed)
        pool = hashlib.sha256("\0".join(material.ids).encode("utf-8", "surrogatepass")).hexdigest()
        sample = answers.fact("random_sample") or {"pool": pool, "seed": settings.seed, "drawn": 0}
        if sample["pool"] != pool:
            # Other data: a sample of the old pool is none of the new one, so another order begins.
            sample = {"pool": pool, "seed": sample["seed"] + 1, "drawn": 0}
        self._sample = sample
        self._order = random_order(len(material), sample["seed"])
        self.asked = answers.asked()

    @property
    def sample(self) -> np.ndarray:
        """(r,) int64, the rows of the session's random sample, answered or not."""
        return np.asarray(self._order[: self._sample["drawn"]])

    def is_random(self, rows: np.ndarray) -> np.ndarray:
        """Returns (n,) bool: which rows are in the random sample."""
        return np.isin(rows, self.sample)

    def chosen_before(self, rows: np.ndarray, ledger: Ledger) -> np.ndarray:
        """Returns (n,) bool: which rows the strategy, or a person, chose and got an answer for undrawn."""
        ids = self._material.ids
        return np.array(
            [
                any(not event.is_random and event.strategy != RANDOM for event in ledger.answers(ids[row]))
                for row in rows.tolist()
            ],
            bool,
        )

    def choose(
        self, labelled: np.ndarray, closed: np.ndarray, lesson: Lesson | None, n_classes: int, n: int
    ) -> list[Question]:
        """Chooses up to n questions, and remembers them.

        Args:
            labelled: (m,) int64, rows with a label.
            closed: (c,) int64, rows that must not be asked now, with those that have a label.
            lesson: what was learnt last; without one, descriptions of the classes take its place.
            n_classes: k.
            n: how many.
        """
        known = self._material.told if lesson is None else lesson.probabilities
        state = PoolState(
            self._material.features,
            labelled,
            known,
            n_classes if known is None else known.shape[1],
            closed=np.setdiff1d(closed, labelled),
            geometry=self._geometry,
        )
        if not len(state.open):
            return []
        batch = next_batch(
            state,
            n,
            strategy=self._settings.strategy,
            random_share=self._settings.random_share,
            asked=len(np.union1d(labelled, closed)),
            judging=None if lesson is None else self._judging(lesson),
            seed=self._sample["seed"],
        )
        if batch.drawn > self._sample["drawn"]:
            self._sample = self._sample | {"drawn": int(batch.drawn)}
            self._answers.set_facts({"random_sample": self._sample})
        strategies = [RANDOM if drawn else self._settings.strategy for drawn in batch.is_random.tolist()]
        return self._remembered(batch.rows, strategies)

    def _judging(self, lesson: Lesson) -> np.ndarray:
        rows = lesson.rows[lesson.drawn & ~lesson.chosen_before]
        return np.asarray(rows[self.is_random(rows)])

    def more(self, closed: np.ndarray, n: int) -> list[Question]:
        """Returns the next n examples at once, for people who are faster than the head.

        They are the next of the random order, or of the data's with that strategy.

        Args:
            closed: (c,) int64, rows that must not be asked now.
            n: how many.
        """
        in_order = self._settings.strategy == SEQUENTIAL
        order = np.arange(len(self._order)) if in_order else self._order
        rows = order[~np.isin(order, closed)][:n]
        return self._remembered(rows, [SEQUENTIAL if in_order else RANDOM] * len(rows))

    def _remembered(self, rows: np.ndarray, strategies: list[str]) -> list[Question]:
        items = [self._material.ids[row] for row in rows.tolist()]
        drawn = self.is_random(rows).tolist()
        self._answers.note_asked(items, strategies, drawn)
        for item, strategy, random in zip(items, strategies, drawn, strict=True):
            first, before = self.asked.get(item, (strategy, False))
            self.asked[item] = (first, before or random)
        return [Question(row, strategy) for row, strategy in zip(rows.tolist(), strategies, strict=True)]
