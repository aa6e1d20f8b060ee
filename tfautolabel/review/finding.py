"""Finds examples that a person wants to see: by text, by likeness, or in groups for a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfautolabel.data import ReadFailure
from tfautolabel.review.learner import Learner, Lesson
from tfautolabel.review.material import Material

CLUSTERS = 24
"""Groups by likeness that a grid offers at most."""

_CLUSTERED, _LOW_DIM = 5_000, 48
_AT_ONCE = 512


@dataclass(frozen=True)
class Group:
    """Examples that a grid may show together.

    Attributes:
        key: names the group, such as "class:rust" or "cluster:3".
        kind: "class" or "cluster".
        name: what a person reads.
        label: the class that is predicted for all of them; "" for a cluster.
        rows: (n,) int64, the surest or most typical first.
    """

    key: str
    kind: str
    name: str
    label: str
    rows: np.ndarray


class Finder:
    """Finds examples of one session.

    Args:
        material: the examples.
        learner: normalises features.
        seed: determines the clusters.
    """

    def __init__(self, material: Material, learner: Learner, seed: int = 0) -> None:
        self._material, self._learner, self._seed = material, learner, seed

    def by_text(self, text: str, n: int) -> list[int]:
        """Returns up to n rows whose text or id has all words of a query, in any case, in their order."""
        words = text.casefold().split()
        found: list[int] = []
        if not words:
            return found
        dataset = self._material.dataset
        for start in range(0, len(dataset), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(dataset)))
            names = [self._material.ids[row].casefold() for row in rows]
            if dataset.modality == "text":
                values = dataset.read(np.arange(rows.start, rows.stop))
                names = [
                    f"{name}\n{text_of(value).casefold()}" for name, value in zip(names, values, strict=True)
                ]
            found += [
                row for row, name in zip(rows, names, strict=True) if all(word in name for word in words)
            ]
            if len(found) >= n:
                break
        return found[:n]

    def like(self, row: int, n: int) -> list[int]:
        """Returns up to n rows whose features are most like those of a row, the most alike first."""
        features = self._learner.features
        wanted = features[np.array([row])][0]
        alike = np.concatenate([rows @ wanted for _, rows in features.parts()])
        alike[row] = -np.inf
        nearest = np.argsort(-alike, kind="stable")[:n]
        return [found for found in nearest.tolist() if found != row]

    def groups(self, lesson: Lesson | None, closed: np.ndarray) -> list[Group]:
        """Returns the groups that have an example to answer.

        Args:
            lesson: what was learnt last; without it there are clusters only.
            closed: (c,) int64, rows that are answered or with somebody else.
        """
        free = np.ones(len(self._material), bool)
        free[closed] = False
        found = []
        if lesson is not None:
            for class_id, name in enumerate(lesson.classes):
                rows = np.flatnonzero(free & (lesson.predicted == class_id))
                rows = rows[np.argsort(-lesson.confidence[rows], kind="stable")]
                found.append(Group(f"class:{name}", "class", f"predicted {name}", name, rows))
        numbers, distances = self._clusters
        for number in range(int(numbers.max(initial=-1)) + 1):
            rows = np.flatnonzero(free & (numbers == number))
            rows = rows[np.argsort(distances[rows], kind="stable")]
            found.append(Group(f"cluster:{number}", "cluster", f"alike, group {number + 1}", "", rows))
        return [group for group in found if len(group.rows)]

    @cached_property
    def _clusters(self) -> tuple[np.ndarray, np.ndarray]:
        """(m,) int64, each row's cluster, and (m,) float32, its distance to the centre."""
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        total = len(self._material)
        rng = np.random.default_rng(self._seed)
        sample = np.sort(rng.permutation(total)[:_CLUSTERED])
        features = self._learner.features[sample]
        low = PCA(min(_LOW_DIM, *features.shape), random_state=self._seed).fit(features)
        clusters = KMeans(min(CLUSTERS, max(len(sample) // 5, 1)), n_init=1, random_state=self._seed)
        clusters.fit(low.transform(features))
        distances = np.concatenate(
            [clusters.transform(low.transform(rows)) for _, rows in self._learner.features.parts()]
        )
        return distances.argmin(axis=1), distances.min(axis=1).astype(np.float32)


def text_of(value: bytes | ReadFailure | Any) -> str:
    """Returns what was read as text; "" where it could not be read."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
