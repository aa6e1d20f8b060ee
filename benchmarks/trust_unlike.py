"""Does the gate notice what is like nothing that was labelled?

Measures the area under the ROC curve between examples of the labelled classes and of a class that has no
labels, with 50 labels of each other class and the pool as background (what is unlike is in the pool too):
each class of Fashion-MNIST and of the spoken digits in turn, and, for texts, a mix of reviews, ham and spam
with one of the three unseen. Also the share of labelled-like examples that the gate refuses.

Where every class has labels, nothing is unlike, and the gate should refuse no more than the 2 % that it is
asked for: 4 to 50 labels a class, drawn class by class or at random, pools of 200 and 1,000 with the set's
own shares of classes or unequal ones (the commonest class ten times as frequent as the rarest).

Peers, with the head's own scores on the same labels: the highest probability (Hendrycks and Gimpel) and the
energy (Liu et al.).

    python benchmarks/trust_unlike.py [--seeds 1] [--draws 5] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse

import numpy as np
from accuracy import draw
from recording import Report
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score
from trust_sets import Features, read_features, trust_options

from tfautolabel.heads import build_head
from tfautolabel.training import train_head
from tfautolabel.trust.ood import METHODS, enough_to_judge, fit_ood_gate

LABELS, POOL = 50, 1500
TASKS = ("fashion-mnist", "digits", "mails and reviews")
FEW, POOLS, RAREST = (4, 8, 16, 20, 50), (200, 1000), 0.1


def tasks(arguments: argparse.Namespace) -> dict[str, Features]:
    found = read_features(arguments)
    if {"uci", "spam"} <= set(found):
        reviews, mails = found["uci"], found["spam"]
        found["mails and reviews"] = Features(
            np.concatenate([reviews.values, mails.values]),
            np.concatenate([np.full(len(reviews.values), 2), mails.class_ids]),
            np.concatenate([reviews.ids, mails.ids]),
        )
    return {name: found[name] for name in TASKS if name in found}


def measure(features: Features, unseen: int, seed: int) -> dict[str, float]:
    """Score's name to the area, and the share that each gate refuses."""
    labelled = draw(features.class_ids, LABELS, seed) & (features.class_ids != unseen)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~labelled))[:POOL]
    known, pool = features.values[labelled], features.values[rest]
    truth = features.class_ids[rest] == unseen
    classes, class_ids = np.unique(features.class_ids[labelled], return_inverse=True)
    head = build_head("linear", known.shape[1], len(classes), seed)
    train_head(head, known, class_ids, seed=seed)
    weights, bias = head.dense.get_weights()
    logits = np.asarray(head.normalization(pool)) @ weights + bias
    probabilities = np.asarray(head(pool, training=False))
    # What needs no features: the highest probability, and the energy (Liu et al., arXiv 2010.03759).
    scores = {"probability": 1.0 - probabilities.max(axis=1), "energy": -logsumexp(logits, axis=1)}
    found = {}
    for method in METHODS:
        gate = fit_ood_gate(known, class_ids, pool, method=method, seed=seed)
        scores[method] = gate.score(pool)
        found[f"{method} refuses"] = float(gate.refuses(pool[~truth]).mean())
    return found | {name: float(roc_auc_score(truth, values)) for name, values in scores.items()}


def alike(features: Features, per_class: int, size: int, seed: int, unequal: bool, random: bool) -> float:
    """The share of a pool that a gate refuses where every class has labels; NaN with too few for a gate."""
    rng, truth = np.random.default_rng([seed, per_class, size]), features.class_ids
    k = int(truth.max()) + 1
    shares = np.geomspace(1.0, RAREST, k)[rng.permutation(k)] if unequal else np.ones(k)
    order = rng.permutation(len(truth))
    place = np.empty(len(truth))  # of each row among those of its class, as a share
    for class_id in range(k):
        rows = order[truth[order] == class_id]
        place[rows] = np.arange(len(rows)) / len(rows)
    if random:
        there = order[place[order] < shares[truth[order]]]
        labelled, rest = there[: per_class * k], there[per_class * k :]
    else:
        chosen = draw(truth, per_class, seed)
        labelled = np.flatnonzero(chosen)
        rest = order[~chosen[order] & (place[order] < shares[truth[order]])]
    pool = features.values[rest[:size]]
    if not enough_to_judge(truth[labelled]) or len(pool) < min(POOLS):
        return float("nan")
    return float(
        fit_ood_gate(features.values[labelled], truth[labelled], pool, seed=seed).refuses(pool).mean()
    )


def refused_alike(report: Report, name: str, features: Features, draws: int) -> None:
    kinds = [(unequal, random) for unequal in (False, True) for random in (False, True)]
    found = {
        per_class: [
            alike(features, per_class, size, seed, *kind)
            for size in POOLS
            for kind in kinds
            for seed in range(draws)
        ]
        for per_class in FEW
    }
    together = np.array([share for shares in found.values() for share in shares])
    together = together[~np.isnan(together)]
    over = ", ".join(f"{(together > bound).mean():.1%} above {bound:.0%}" for bound in (0.05, 0.1, 0.2))
    by_labels = {
        str(count): {"mean": float(np.nanmean(shares)), "worst": float(np.nanmax(shares))}
        for count, shares in found.items()
        if not np.isnan(shares).all()
    }
    report.add(
        f"every class labelled, {name}",
        f"share of the pool refused, mean of {len(together)} draws with {FEW[0]} to {FEW[-1]} labels a class",
        float(together.mean()),
        "<= 0.04",
        result=f"{together.mean():.3f}, worst {together.max():.3f}, {over}",
        by_labels=by_labels,
    )
    print(name, report.rows[-1]["result"], flush=True)


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--draws", type=int, default=5, help="of each kind where every class has labels")
    arguments = parser.parse_args()
    report = Report("trust_unlike", arguments)
    means: dict[str, dict[str, float]] = {}
    for name, features in tasks(arguments).items():
        found = [
            measure(features, int(unseen), seed)
            for unseen in np.unique(features.class_ids)
            for seed in range(arguments.seeds)
        ]
        means[name] = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        print(name, means[name], flush=True)
        add(report, f"unseen class noticed, {name}", f"mean of {len(found)} classes and draws", means[name])
    together = {key: float(np.mean([one[key] for one in means.values()])) for key in means[TASKS[0]]}
    add(report, "unseen class noticed, mean of the tasks", "mean area under the ROC curve", together, "0.85")
    for name, features in read_features(arguments).items():
        refused_alike(report, name, features, arguments.draws)
    report.save()


def add(report: Report, row: str, measure: str, found: dict[str, float], least: str = "0") -> None:
    best = max(found["probability"], found["energy"])
    area, refused = found[METHODS[0]], found[f"{METHODS[0]} refuses"]
    report.add(
        row,
        f"area under the ROC curve, {measure}",
        area,
        f">= {max(best, float(least)):.4f}",
        result=f"{area:.4f}, refuses {refused:.3f} of what is labelled-like",
        peer=f"probability {found['probability']:.4f}, energy {found['energy']:.4f}",
        ratio=f"{area - best:+.4f}",
        scores=found,
    )


if __name__ == "__main__":
    main()
