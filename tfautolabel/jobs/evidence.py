"""Stores results from features for the report, because the features are gone after the run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import numpy as np

from tfautolabel.runs.evidence import Evidence, save_evidence

POINTS = 1500
"""Points on the map: t-SNE takes about three seconds for so many, and more points would overlap."""

_COMPONENTS = 50
_ITERATIONS = 400


def write_evidence(
    path: str | os.PathLike[str],
    *,
    labelled_ids: Sequence[str] | np.ndarray,
    labelled_class_ids: np.ndarray,
    labelled_features: np.ndarray,
    out_of_fold: np.ndarray,
    pool_ids: Sequence[str] | np.ndarray,
    pool_features: np.ndarray,
    pool_predicted: np.ndarray,
    pool_confidence: np.ndarray,
    seed: int = 0,
    run_id: str = "",
) -> None:
    """Writes predictions of the labelled examples, and a map of them and the pool; no features.

    Args:
        path: the file, an .npz; missing folders are made.
        labelled_ids: m names.
        labelled_class_ids: (m,) int64 in [0, k).
        labelled_features: (m, d).
        out_of_fold: (m, k), rows sum to 1, each predicted by a head that has not seen the example.
        pool_ids: n names; of a large pool, a random sample is enough, see `POINTS`.
        pool_features: (n, d).
        pool_predicted: (n,) int64 in [0, k).
        pool_confidence: (n,) in [0, 1].
        seed: decides which examples are on the map, and their positions.
        run_id: the id of the run.

    Raises:
        ValueError: If the lengths do not match.
        OSError: If the file cannot be written.
    """
    labelled_ids, pool_ids = [str(name) for name in labelled_ids], [str(name) for name in pool_ids]
    lengths = {
        "labelled": (len(labelled_ids), len(labelled_class_ids), len(labelled_features), len(out_of_fold)),
        "pool": (len(pool_ids), len(pool_features), len(pool_predicted), len(pool_confidence)),
    }
    for name, found in lengths.items():
        if len(set(found)) != 1:
            raise ValueError(f"the {name} rows must be as many in each argument. Received: lengths {found}")
    rng = np.random.default_rng(seed)
    # Labelled examples take at most half of the map as long as there is a pool to show.
    room = POINTS if not pool_ids else max(POINTS // 2, POINTS - len(pool_ids))
    labelled = _some(len(labelled_ids), room, rng)
    pool = _some(len(pool_ids), POINTS - len(labelled), rng)
    features = np.concatenate([np.asarray(labelled_features)[labelled], np.asarray(pool_features)[pool]])
    given = np.asarray(labelled_class_ids, np.int64)
    save_evidence(
        Evidence(
            labelled_ids=tuple(labelled_ids),
            labelled_class_ids=given,
            out_of_fold=np.asarray(out_of_fold, np.float32),
            point_ids=(*(labelled_ids[row] for row in labelled), *(pool_ids[row] for row in pool)),
            points=project(features, seed),
            point_class_ids=np.concatenate([given[labelled], np.asarray(pool_predicted, np.int64)[pool]]),
            point_confidence=np.concatenate(
                [np.full(len(labelled), np.nan), np.asarray(pool_confidence, float)[pool]]
            ).astype(np.float32),
        ),
        path,
        run_id,
    )


def project(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places examples on a plane, similar ones near each other (t-SNE: van der Maaten, Hinton, JMLR 9, 2008).

    PCA comes first; with too few examples for neighbourhoods, only PCA is used. On 1,797 digits, the five
    nearest neighbours on the plane predict 96-99 % of the digits; with two principal components it is 61 %.

    Args:
        features: (p, d).
        seed: decides the positions.

    Returns:
        (p, 2) float32.
    """
    from threadpoolctl import threadpool_limits

    features = np.nan_to_num(np.asarray(features, np.float32))
    count = len(features)
    if count < 2 or not np.ptp(features, axis=0).any():
        return np.zeros((count, 2), np.float32)
    components = min(_COMPONENTS, count, features.shape[1])
    # One thread: on a busy machine, several threads wait for each other and are slower.
    with threadpool_limits(1):
        return _placed(features, components, seed)


def _placed(features: np.ndarray, components: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(features)
    reduced = PCA(components, random_state=seed).fit_transform(features)
    if components < 2 or count < 10:
        return np.pad(reduced, ((0, 0), (0, 1)))[:, :2].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about equal examples
        tsne = TSNE(
            2,
            perplexity=min(30.0, (count - 1) / 3),
            init="pca",
            max_iter=_ITERATIONS,
            random_state=seed,
        )
        places = tsne.fit_transform(reduced)
    return np.asarray(np.nan_to_num(places).astype(np.float32))


def _some(count: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Draws rows without replacement and sorts them."""
    if count <= wanted:
        return np.arange(count)
    return np.sort(rng.choice(count, wanted, replace=False))
