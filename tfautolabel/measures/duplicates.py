"""Finds examples that occur more than once: the same content, or nearly the same.

Nearly the same are two examples that are much nearer to each other than either is to its other neighbours. A
fixed bound on the distance would take two plain T-shirts for one picture, and miss a stamp that was made
darker. For texts and sounds the distances are those of the features. Features of pictures ignore too little:
a small picture that was saved as JPEG again has other ones. So pictures are compared by their brightness on a
coarse grid, like a perceptual hash, but without its rounding to bits. A picture that was made brighter loses
what becomes whiter than white, so pictures are also compared with brightened ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tfautolabel.labels import ABSTAIN

GRID = 8
"""Pictures are compared on a grid of so many fields a side."""

NEIGHBOURS = 10
RATIO = 0.17
FARTHEST = 0.08
SURE = 0.001
"""A pair is one example twice if its distance (one minus the cosine) is at most `FARTHEST`, and at most
`RATIO` of the distance of either one to its tenth neighbour; or at most `SURE`. Chosen on tiles and on 1,000
training pictures of Fashion-MNIST; `benchmarks/label_errors.py` measures them on others."""

BRIGHTER = (1.2, 1.5)
"""How many times as bright a picture is made to find copies of it that were made brighter."""
BRIGHTER_RATIO = 0.14
"""As `RATIO`, for distances to brightened pictures. Chosen on tiles made pale, and on 1,000 training pictures
of Fashion-MNIST made negative: both are as bright as scans are. There, and on 3,000 training pictures as they
are, it adds no false pair."""

_BLOCK = 1 << 24
"""Distances in memory at the same time."""


class Copies(NamedTuple):
    """Examples with the same content.

    Attributes:
        rows: (m,) int64, m at least 2, ascending.
        conflicting: whether their labels differ.
    """

    rows: np.ndarray
    conflicting: bool


class NearPair(NamedTuple):
    """Two examples that are nearly the same.

    Attributes:
        first: a row.
        second: a larger row.
        distance: in [0, 2], one minus the cosine of their vectors.
    """

    first: int
    second: int
    distance: float


def same_content(contents: Sequence[str], class_ids: np.ndarray) -> list[Copies]:
    """Groups examples with the same content.

    Args:
        contents: n hashes of contents; "" for an example that was not read, which is like no other.
        class_ids: (n,) int64, `ABSTAIN` (-1) without a label; no label conflicts with nothing.

    Returns:
        The groups of at least two examples, in the order of their first rows.

    Raises:
        ValueError: If the lengths differ.

    Examples:
        >>> found = same_content(["a", "b", "a"], np.array([0, 1, 1]))
        >>> [(copies.rows.tolist(), copies.conflicting) for copies in found]
        [([0, 2], True)]
    """
    if len(contents) != len(class_ids):
        raise ValueError(f"contents must be of {len(class_ids)} examples. Received: {len(contents)}")
    rows_of: dict[str, list[int]] = {}
    for row, content in enumerate(contents):
        if content:
            rows_of.setdefault(content, []).append(row)
    found = []
    for rows in rows_of.values():
        if len(rows) > 1:
            labels = np.unique(class_ids[rows])
            found.append(Copies(np.array(rows, np.int64), int(np.count_nonzero(labels != ABSTAIN)) > 1))
    return found


def group_numbers(n: int, links: Iterable[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Numbers n examples so that linked ones, directly or through others, have the same number.

    Args:
        n: the number of examples.
        links: rows that belong together.

    Returns:
        (n,) int64: the smallest row of each example's group.
    """
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for rows in links:
        roots = {root(int(row)) for row in rows}
        for one in roots:
            parent[one] = min(roots)
    return np.array([root(row) for row in range(n)], np.int64)


def feature_vectors(features: np.ndarray) -> np.ndarray:
    """Returns features as vectors for `near_pairs`: (n, d) float32 without their mean, of length one."""
    features = np.asarray(features, np.float32)
    return _unit(features - features.mean(axis=0)) if len(features) else features


def picture_vectors(pixels: np.ndarray) -> np.ndarray:
    """Returns pictures as vectors for `near_pairs`.

    Args:
        pixels: (n, s, s, 3) in [0, 255], s a multiple of `GRID`, whole pictures stretched to squares.

    Returns:
        (n, 1 + b, 64) float32, for the picture and for each brightness of `BRIGHTER`: the brightness of the
        fields of a grid without its mean, of length one. Saving the picture again, in another size or at
        another brightness hardly changes it. It is zero, which is near nothing, for a picture without any
        structure.
    """
    pixels = np.asarray(pixels, np.float32)
    brightened = (np.minimum(np.float32(times) * pixels, np.float32(255.0)) for times in BRIGHTER)
    return np.stack([_field_vectors(one) for one in (pixels, *brightened)], axis=1)


def near_pairs(vectors: np.ndarray, brightened: np.ndarray | None = None) -> list[NearPair]:
    """Finds pairs that are nearly the same; see `RATIO` for the rule.

    Every example is compared with every other, some rows at a time: n x n x d multiplications, and with
    brightened ones 2 b times as many besides.

    Args:
        vectors: (n, d) float32, of length one or zero. Of examples with the same content only one should be
            given: with ten copies of it, it would have no other neighbours to compare with.
        brightened: (n, b, d) float32, vectors of the same examples made brighter. Then a pair is also one
            example twice if either of the two is so near to the other one made brighter.

    Returns:
        The pairs, the nearest first. Of more than `NEIGHBOURS` examples that are all nearly the same, each is
        paired with some.
    """
    found = _pairs_within(vectors, (), RATIO)
    if brightened is not None:
        versions = [np.ascontiguousarray(one) for one in np.moveaxis(brightened, 1, 0)]
        for pair, distance in _pairs_within(vectors, versions, BRIGHTER_RATIO).items():
            found[pair] = min(distance, found.get(pair, distance))
    pairs = [NearPair(one, other, distance) for (one, other), distance in found.items()]
    return sorted(pairs, key=lambda pair: (pair.distance, pair.first, pair.second))


def _pairs_within(
    vectors: np.ndarray, versions: Sequence[np.ndarray], ratio: float
) -> dict[tuple[int, int], float]:
    """Returns the pairs that are near by a ratio, and their distances.

    Args:
        vectors: (n, d) float32.
        versions: (n, d) float32 each; the distance of two examples is the smallest between the vector of one
            and the vector or a version of the other.
        ratio: see `RATIO`.
    """
    n = len(vectors)
    if n < 2:
        return {}
    count = min(NEIGHBOURS, n - 1)
    far = np.empty(n, np.float32)
    found: dict[tuple[int, int], float] = {}
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        part = slice(start, start + step)
        cosines = vectors[part] @ vectors.T
        for version in versions:
            np.maximum(cosines, vectors[part] @ version.T, out=cosines)
            np.maximum(cosines, version[part] @ vectors.T, out=cosines)
        distances = np.subtract(np.float32(1.0), cosines, out=cosines)
        here = np.arange(len(distances))
        distances[here, start + here] = np.inf
        near = np.argpartition(distances, count - 1, axis=1)[:, :count]
        of_near = np.take_along_axis(distances, near, axis=1)
        far[start + here] = of_near.max(axis=1)
        close = of_near <= np.maximum(SURE, np.minimum(FARTHEST, ratio * far[start + here][:, None]))
        for row, place in np.argwhere(close).tolist():
            one, other = start + row, int(near[row, place])
            found[min(one, other), max(one, other)] = max(float(of_near[row, place]), 0.0)
    return {
        (one, other): distance
        for (one, other), distance in found.items()
        if distance <= max(SURE, min(FARTHEST, ratio * float(min(far[one], far[other]))))
    }


def _field_vectors(pixels: np.ndarray) -> np.ndarray:
    """Returns (n, 64) float32 from (n, s, s, 3): the brightness of fields, see `picture_vectors`."""
    n, side = len(pixels), pixels.shape[1] // GRID
    fields = pixels.reshape(n, GRID, side, GRID, side, 3).mean(axis=(2, 4)) @ _BRIGHTNESS
    flat = fields.reshape(n, GRID * GRID)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return _unit(np.where(np.abs(flat).max(axis=1, keepdims=True, initial=0.0) < 0.5, 0.0, flat))


_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray((vectors / np.maximum(lengths, 1e-9)).astype(np.float32))
