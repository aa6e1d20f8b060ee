"""Do label sets hold the right label as often as they say, and how large are they?

Measures, with the default head on 20 labels a class, 400 further labels to calibrate on and all others to
test, over 100 draws of these: how often the right class is in the set (nominal: 90 %), and how many classes a
set holds. "per class" is held against the mean over classes.

Peer: MAPIE's SplitConformalClassifier on the same probabilities, draws and rows (lac, aps, raps; its
randomised sets for ours that are randomised, and those that include the last label for ours that are not).
Needs `pip install mapie`.

    python benchmarks/trust_conformal.py [--seeds 100] [--sets fashion-mnist speakers digits] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from recording import Report
from trust_sets import fit_head, read_features, trust_options

from tfautolabel.trust import calibrate_sets

COVERAGE, CALIBRATION, TEST, PER_CLASS = 0.9, 400, 2000, 20
VARIANTS = {
    "lac": {"method": "lac"},
    "aps, randomised": {"method": "aps"},
    "raps, randomised": {"method": "raps"},
    "aps": {"method": "aps", "randomised": False},
    "lac, per class": {"method": "lac", "per_class": True},
}
WITHOUT_PEER = ("lac, per class",)
AT_LEAST = ("aps",)
"""Sets that are not randomised may hold the right class more often."""


def mapie_sets(variant: str, calibration: np.ndarray, truth: np.ndarray, test: np.ndarray, seed: int):
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):
        """A classifier whose features are its probabilities."""

        def __init__(self, k: int = calibration.shape[1]) -> None:
            self.k = k
            self.classes_ = np.arange(k)
            self.fitted_ = True

        def fit(self, rows: np.ndarray, class_ids: np.ndarray) -> Given:
            del rows, class_ids
            return self

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return rows / rows.sum(axis=1, keepdims=True)

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return rows.argmax(axis=1)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    method = variant.split(",")[0]
    wrapped = SplitConformalClassifier(
        Given(), confidence_level=COVERAGE, conformity_score=method, prefit=True, random_state=seed
    )
    options = {} if method == "lac" else {"include_last_label": "randomized" if "," in variant else True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped.conformalize(calibration, truth)
        return wrapped.predict_set(test, conformity_score_params=options)[1][:, :, 0]


def measure(arguments: argparse.Namespace, report: Report, name: str, features) -> None:
    outcome = fit_head(features, PER_CLASS, 0)
    found: dict[str, list[list[float]]] = {variant: [] for variant in VARIANTS}
    peers: dict[str, list[list[float]]] = {variant: [] for variant in VARIANTS}
    for seed in range(arguments.seeds):
        order = np.random.default_rng(seed).permutation(len(outcome.truth))
        known, rest = order[:CALIBRATION], order[CALIBRATION : CALIBRATION + TEST]
        rows, truth, test = outcome.probabilities[known], outcome.truth[known], outcome.truth[rest]
        for variant, options in VARIANTS.items():
            calibrated = calibrate_sets(rows, truth, COVERAGE, seed=seed, **options)
            sets = calibrated.sets(outcome.probabilities[rest])
            held = sets[np.arange(len(test)), test]
            if calibrated.method == "lac" and "per class" in variant:
                coverage = np.mean([held[test == number].mean() for number in np.unique(test)])
            else:
                coverage = held.mean()
            found[variant].append([float(coverage), float(sets.sum(axis=1).mean())])
            if variant not in WITHOUT_PEER:
                sets = mapie_sets(variant, rows, truth, outcome.probabilities[rest], seed)
                peers[variant].append(
                    [float(sets[np.arange(len(test)), test].mean()), float(sets.sum(axis=1).mean())]
                )
    for variant in VARIANTS:
        add(report, name, variant, np.mean(found[variant], axis=0), peers[variant], arguments.seeds)


def add(
    report: Report, name: str, variant: str, ours: np.ndarray, peers: list[list[float]], seeds: int
) -> None:
    peer = np.mean(peers, axis=0) if peers else None
    miss = COVERAGE - ours[0] if variant in AT_LEAST else abs(ours[0] - COVERAGE)
    beside = "" if peer is None else f"MAPIE: coverage {peer[0]:.4f}, size {peer[1]:.4f}"
    report.add(
        f"coverage of label sets, {name}, {variant}",
        f"distance from {COVERAGE:.0%}, mean of {seeds} draws"
        + (" (only below counts)" if variant in AT_LEAST else ""),
        float(miss),
        "<= 0.015",
        result=f"{ours[0]:.4f}",
        peer=beside,
    )
    if peer is not None:
        report.add(
            f"size of label sets, {name}, {variant}",
            f"classes in a set, mean of {seeds} draws",
            float(ours[1]),
            f"<= {1.02 * peer[1]:.4f}",
            peer=beside,
            ratio=f"{ours[1] / peer[1]:.4f}",
        )
    print(report.rows[-1]["row"], ours, beside, flush=True)


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=["fashion-mnist", "speakers", "digits"])
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    report = Report("trust_conformal", arguments)
    for name, features in read_features(arguments).items():
        measure(arguments, report, name, features)
    report.save()


if __name__ == "__main__":
    main()
