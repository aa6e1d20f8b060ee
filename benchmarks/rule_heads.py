"""What heads learn from the votes of rules: without labels, when rules go wrong, and beside 50 labels.

Draws of 1,000 examples for the votes (and the labels, if there are some) and 1,000 others to measure; the
accuracy is the mean of all draws, and the worst one. The rules are those of `rule_sets.py`, written without a
look at labels; the stresses are those of `label_models.py`. The labels alone are the peer, by the same head
as a run without rules.

Penalty, balance between classes, mixture of soft labels and self-training were chosen on seeds 100 to 107 of
the same three sets; seeds 0 to 9 were measured after that. These are other draws, not other examples: seeds
100 to 107 have drawn all examples of uci that are measured here, and 96 % of those of spam.

    python benchmarks/rule_heads.py [--seeds 10] [--sets uci uci-e5 spam]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from recording import Report
from rule_sets import rule_votes, stresses
from trust_sets import Features, read_features, trust_options

from tfautolabel.heads import LinearHead
from tfautolabel.labeler.votes_to_head import learn_from_votes

ROWS, LABELS = 1000, 50
ALONE, WITH_LABELS = "labels alone", f", and {LABELS} labels"
SETS = {"uci": "uci", "uci-e5": "uci", "spam": "spam"}
"""Set of features to set of rules."""
PLAIN_BARS = {"uci": 0.86, "uci-e5": 0.915, "spam": 0.915}
GAIN_BARS = {"spam": 6}
STRESS_BARS = {"uci": 0.80, "uci-e5": 0.88, "spam": 0.90}


def accuracy(head: LinearHead, features: Features, rows: np.ndarray) -> float:
    """The share of examples that a head labels right."""
    predicted = np.asarray(head(features.values[rows])).argmax(axis=1)
    return float((predicted == features.class_ids[rows]).mean())


def new_head(features: Features, k: int, seed: int) -> LinearHead:
    """A head that has learnt nothing."""
    head = LinearHead(features.values.shape[1], k, seed=seed)
    head.compile()
    return head


def measure(features: Features, votes: np.ndarray, k: int, seeds: int) -> dict[str, list[float]]:
    """Accuracies of all draws by what the head has learnt from."""
    found: dict[str, list[float]] = {}
    nothing = np.zeros(0, np.int64)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(features.class_ids))
        pool, test = order[:ROWS], order[ROWS : 2 * ROWS]
        labelled, rest = pool[:LABELS], pool[LABELS:]
        gold, truth = features.values[labelled], features.class_ids[labelled]
        for name, cast in stresses(votes, features.class_ids, k, rng).items():
            head, both = new_head(features, k, seed), new_head(features, k, seed)
            learn_from_votes(
                head, features.values[pool], cast[pool], features.values[nothing], nothing, seed=seed
            )
            found.setdefault(name, []).append(accuracy(head, features, test))
            learn_from_votes(both, features.values[rest], cast[rest], gold, truth, seed=seed)
            found.setdefault(name + WITH_LABELS, []).append(accuracy(both, features, test))
        alone = new_head(features, k, seed)
        alone.fit(gold, truth)
        found.setdefault(ALONE, []).append(accuracy(alone, features, test))
    return found


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=list(SETS))
    parser.add_argument("--seeds", type=int, default=10, help="draws of each set (%(default)s)")
    arguments = parser.parse_args()
    report = Report("rule_heads", arguments)
    for name, features in read_features(arguments).items():
        votes, truth, classes, ids = rule_votes(arguments.data, SETS[name])
        place = {one: row for row, one in enumerate(ids)}
        rows = np.array([place[one] for one in features.ids.tolist()])
        if not np.array_equal(truth[rows], features.class_ids):
            raise ValueError(f"features and rules of {name} are of other labels")
        found = measure(features, votes[rows], len(classes), arguments.seeds)
        alone = float(np.mean(found[ALONE]))
        for what, right in found.items():
            if what == ALONE:
                continue
            details: dict[str, Any] = {"draws": right, "worst": min(right)}
            bar: str | None = f">= {PLAIN_BARS[name] if what == 'plain' else STRESS_BARS[name]}"
            if what.endswith(WITH_LABELS):
                rules = float(np.mean(found[what.removesuffix(WITH_LABELS)]))
                bar = f">= {max(alone, rules) - 0.003:.4f}"
                details["peer"] = f"{LABELS} labels alone {alone:.3f}, rules alone {rules:.3f}"
            elif what == "4 broadest rules only":
                bar = None
            report.add(
                f"{name}, {what}",
                "accuracy of the head on other examples",
                float(np.mean(right)),
                bar,
                result=f"{np.mean(right):.3f}, worst draw {min(right):.3f}",
                **details,
            )
        if name in GAIN_BARS:
            gain = 100 * (float(np.mean(found["plain" + WITH_LABELS])) - alone)
            report.add(
                f"{name}, gain of rules beside 50 labels",
                "points of accuracy over the labels alone",
                gain,
                f">= {GAIN_BARS[name]}",
                result=f"{gain:.1f}",
            )
    report.save()


if __name__ == "__main__":
    main()
