"""Are accepted labels as good as they say, with few, unequal or missing labels and weak features?

Three questions, each answered on what the default head, its calibration, the gate and the evidence of
held-out labels accept at the usual confidence (what `Labeler.label` does):

    kinds     each class in turn gets no labels and stays in the pool: accepted and wrong, as a share of
              what is accepted, at 10, 20 and 40 labels of each other class; and the coverage that gate and
              evidence cost where every class has labels. Fashion-MNIST, spoken digits, tiles.
    unequal   tiles with 10, 1 and 0 labels of brick, grass and gravel, and so on: what is accepted is right.
    draws     20, 40 and 80 labels drawn at random: what is accepted is as often right as it says.

Peer: the same head and confidence without gate and evidence.

    python benchmarks/trust_earned.py [--parts kinds unequal draws] [--draws 20] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from accuracy import draw
from recording import Report
from scipy.special import softmax
from trust_sets import BACKBONES, Features, read_features, trust_options

from tfautolabel.data.folds import stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads import build_head
from tfautolabel.heads.normalization import SQUARE_ROOT
from tfautolabel.heads.softmax_regression import fit_softmax_regression
from tfautolabel.labeler.judging import can_be_judged
from tfautolabel.labels import MIN_CONFIDENCE
from tfautolabel.training import train_head
from tfautolabel.trust import fit_calibration, fit_ood_gate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.earned import judge
from tfautolabel.trust.ood import enough_to_judge

PARTS = ("kinds", "unequal", "draws")
POOL = 2000
LEFT_OUT = ("fashion-mnist", "digits", "tiles")
DRAWN = ("fashion-mnist", "digits", "speakers", "uci", "uci-e5")
UNEQUAL = ((10, 1, 0), (20, 1, 1), (20, 3, 1), (10, 10, 0))
N_FOLDS, REFUSED = 5, 0.02


class Accepted(NamedTuple):
    """What became of a pool.

    Attributes:
        coverage: the share that is accepted.
        wrong: the share of it that is wrong; 0 where nothing is accepted.
        says: its mean confidence; 0 where nothing is accepted.
    """

    coverage: float
    wrong: float
    says: float


def accept(features: Features, labelled: np.ndarray, seed: int) -> tuple[Accepted, Accepted]:
    """What is accepted of the rows (n,) bool that are not labelled; and what is by confidence alone."""
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~labelled))[:POOL]
    known, pool = features.values[labelled], features.values[rest]
    classes, class_ids = np.unique(features.class_ids[labelled], return_inverse=True)
    out_of_fold, probabilities = _predict(known, class_ids, pool, seed)
    gate = None
    if enough_to_judge(class_ids):
        gate = fit_ood_gate(known, class_ids, pool, refused=REFUSED, seed=seed)
    unlike = np.zeros(len(known), bool) if gate is None else gate.refuses(known)
    earned = judge(out_of_fold, class_ids, unlike, MIN_CONFIDENCE, guarded=gate is not None)
    plain = Acceptance.by_confidence(MIN_CONFIDENCE, len(classes))
    rule = Acceptance(plain.thresholds, plain.barred, np.inf if gate is None else gate.threshold)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    wrong = classes[predicted] != features.class_ids[rest]
    scores = None if gate is None else gate.score(pool)
    reasons = rule.after(earned).reasons(confidence, predicted, scores)
    return (
        _accepted(reasons == "", confidence, wrong),
        _accepted(plain.reasons(confidence, predicted) == "", confidence, wrong),
    )


def _predict(
    known: np.ndarray, class_ids: np.ndarray, pool: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities, held out and of the pool: the linear head without Keras.

    In so many fits it would take most of the time.
    """
    power = SQUARE_ROOT if known.min() >= 0.0 else 1.0
    normalized, k = _normalized(known, power), int(class_ids.max()) + 1
    weight_of = share_weights(class_ids, k)
    weights = None
    if weight_of is not None:
        weights = np.array([weight_of[int(class_id)] for class_id in class_ids], np.float32)
    model = fit_softmax_regression(
        normalized,
        class_ids,
        k,
        folds=stratified_folds(class_ids, N_FOLDS, seed, content=known),
        sample_weight=weights,
    )
    judged = can_be_judged(class_ids, k)
    calibration = fit_calibration(
        model.out_of_fold[judged],
        class_ids[judged],
        sample_weight=None if weights is None else weights[judged],
        seed=seed,
    )
    scores = _normalized(pool, power) @ model.weights + model.bias
    return calibration.apply(model.out_of_fold), calibration.apply(softmax(scores, axis=1))


def _normalized(features: np.ndarray, power: float) -> np.ndarray:
    raised = np.sign(features) * (np.abs(features) + 1e-6) ** np.float32(power)
    return raised / np.linalg.norm(raised, axis=1, keepdims=True)


def check(features: Features) -> float:
    """How far the probabilities are from those of the head itself, at most."""
    labelled = draw(features.class_ids, 10, 0)
    known, class_ids = features.values[labelled], features.class_ids[labelled]
    head = build_head("linear", known.shape[1], int(class_ids.max()) + 1, 0)
    training = train_head(head, known, class_ids, seed=0)
    calibration = fit_calibration(training.out_of_fold, class_ids, seed=0)
    expected = calibration.apply(np.asarray(head(features.values, training=False)))
    return float(np.abs(_predict(known, class_ids, features.values, 0)[1] - expected).max())


def _accepted(rows: np.ndarray, confidence: np.ndarray, wrong: np.ndarray) -> Accepted:
    if not rows.any():
        return Accepted(0.0, 0.0, 0.0)
    return Accepted(float(rows.mean()), float(wrong[rows].mean()), float(confidence[rows].mean()))


def kinds(sets: dict[str, Features], arguments: argparse.Namespace, report: Report) -> None:
    together: list[float] = []
    costs: list[float] = []
    for name in LEFT_OUT:
        if name not in sets:
            continue
        features = sets[name]
        found: dict[int, list[tuple[Accepted, Accepted]]] = {}
        lost = []
        for per_class in (10, 20, 40):
            for seed in range(arguments.seeds):
                drawn = draw(features.class_ids, per_class, seed)
                found.setdefault(per_class, []).extend(
                    accept(features, drawn & (features.class_ids != unseen), seed)
                    for unseen in np.unique(features.class_ids)
                )
                ours, plain = accept(features, drawn, seed)
                lost.append(plain.coverage - ours.coverage)
            print(name, per_class, [round(one[0].wrong, 3) for one in found[per_class]], flush=True)
        pairs = [pair for some in found.values() for pair in some]
        wrong, peer = (np.array([pair[at].wrong for pair in pairs]) for at in (0, 1))
        by_size = {str(size): float(np.mean([one[0].wrong for one in some])) for size, some in found.items()}
        together.append(float(wrong.mean()))
        costs.append(float(np.mean(lost)))
        report.add(
            f"a kind without labels, {name}",
            "share of accepted labels that is wrong, mean of classes, sizes and draws",
            together[-1],
            "<= 0.10",
            result=f"{wrong.mean():.3f}, worst {wrong.max():.3f}, accepts "
            f"{np.mean([pair[0].coverage for pair in pairs]):.2f}",
            peer=f"confidence alone {peer.mean():.3f}, worst {peer.max():.3f}, accepts "
            f"{np.mean([pair[1].coverage for pair in pairs]):.2f}",
            ratio=f"{wrong.mean() - peer.mean():+.3f}",
            by_size=by_size,
        )
        report.add(
            f"every kind labelled, {name}",
            "share of the pool that gate and evidence cost, mean of sizes and draws",
            costs[-1],
            "<= 0.05",
            result=f"{costs[-1]:.3f}, worst {max(lost):.3f}",
        )
    if together:
        report.add(
            "a kind without labels, mean of the sets",
            "share of accepted labels that is wrong",
            float(np.mean(together)),
            "<= 0.10",
        )
        report.add("every kind labelled, mean of the sets", "coverage lost", float(np.mean(costs)), "<= 0.05")


def unequal(sets: dict[str, Features], arguments: argparse.Namespace, report: Report) -> None:
    if "tiles" not in sets:
        return
    features = sets["tiles"]
    for counts in UNEQUAL:
        pairs = []
        for seed in range(arguments.draws):
            rng = np.random.default_rng(seed)
            labelled = np.zeros(len(features.values), bool)
            for class_id, count in enumerate(counts):
                labelled[rng.permutation(np.flatnonzero(features.class_ids == class_id))[:count]] = True
            pairs.append(accept(features, labelled, seed))
        some = [ours for ours, _ in pairs if ours.coverage > 0]
        right = [1.0 - one.wrong for one in some]
        told = "none accepted" if not some else f"{np.mean(right):.3f}, worst {min(right):.3f}"
        report.add(
            f"tiles with {', '.join(map(str, counts))} labels",
            "share of accepted labels that is right, or none accepted; mean of draws",
            float(np.mean(right)) if some else 1.0,
            ">= 0.90",
            result=f"{told}, accepted in {len(some)} of {len(pairs)} draws",
            peer=_alone([plain for _, plain in pairs]),
        )
        print(counts, report.rows[-1]["result"], flush=True)


def _alone(found: list[Accepted]) -> str:
    some = [1.0 - one.wrong for one in found if one.coverage > 0]
    told = f"{np.mean(some):.3f}, worst {min(some):.3f}, in {len(some)} draws" if some else "none accepted"
    return f"confidence alone {told}"


def draws(sets: dict[str, Features], arguments: argparse.Namespace, report: Report) -> None:
    for name in DRAWN:
        if name not in sets:
            continue
        features = sets[name]
        found: dict[int, list[tuple[Accepted, Accepted]]] = {}
        for size in (20, 40, 80):
            for seed in range(arguments.draws):
                labelled = np.zeros(len(features.values), bool)
                labelled[np.random.default_rng(seed).permutation(len(labelled))[:size]] = True
                if len(np.unique(features.class_ids[labelled])) > 1:
                    found.setdefault(size, []).append(accept(features, labelled, seed))
        pairs = [pair for some in found.values() for pair in some]
        gaps = _gaps(ours for ours, _ in pairs)
        peers = _gaps(plain for _, plain in pairs)
        report.add(
            f"labels drawn at random, {name}",
            "right minus said, of accepted labels, mean of the draws that accept any",
            float(gaps.mean()) if len(gaps) else 0.0,
            ">= -0.03",
            result=f"{gaps.mean():+.3f}, worst {gaps.min():+.3f}, {len(gaps)} of {len(pairs)} draws accept"
            if len(gaps)
            else "none accepted",
            peer=f"confidence alone {peers.mean():+.3f}, worst {peers.min():+.3f}, {len(peers)} draws"
            if len(peers)
            else "",
            by_size={
                str(size): {
                    "right": [round(1.0 - ours.wrong, 4) for ours, _ in some if ours.coverage > 0],
                    "says": [round(ours.says, 4) for ours, _ in some if ours.coverage > 0],
                    "coverage": float(np.mean([ours.coverage for ours, _ in some])),
                    "coverage_by_confidence": float(np.mean([plain.coverage for _, plain in some])),
                }
                for size, some in found.items()
            },
        )
        print(name, report.rows[-1]["result"], "|", report.rows[-1]["peer"], flush=True)


def _gaps(found: Iterable[Accepted]) -> np.ndarray:
    return np.array([1.0 - one.wrong - one.says for one in found if one.coverage > 0])


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=list(BACKBONES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=2, help="draws for each class without labels")
    parser.add_argument("--draws", type=int, default=20, help="random and unequal draws")
    arguments = parser.parse_args()
    report = Report("trust_earned", arguments)
    sets = read_features(arguments)
    for name, features in sets.items():
        print(f"{name}: at most {check(features):.1e} from the head's own probabilities", flush=True)
    for part in arguments.parts:
        {"kinds": kinds, "unequal": unequal, "draws": draws}[part](sets, arguments, report)
    report.save()


if __name__ == "__main__":
    main()
