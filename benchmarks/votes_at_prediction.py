"""What votes on an example add when it is labelled, beside the head that has learnt from rules and labels.

As `run --rules-in-model` does it: from 50 labels on, where a head of the labels alone agrees, and only if
held-out labels show a gain. Each rule votes for one class, as those of a file do: rules for two classes are
split. Draws of 1,000 examples for votes and labels, and 1,000 others to measure.

How much votes count, and the border of agreement, were chosen on seeds 200 to 203; seeds 310 to 315 agreed;
seeds 320 to 325 are measured here, with the code of the package.

    python benchmarks/votes_at_prediction.py [--first-seed 320] [--seeds 6] [--sets uci uci-e5 spam]
"""

from __future__ import annotations

import numpy as np
from recording import Report
from rule_heads import ROWS, SETS, new_head
from rule_sets import rule_votes, stresses
from trust_sets import Features, read_features, trust_options

from tfautolabel.labeler.votes_to_head import learn_from_votes
from tfautolabel.labeler.voting import Voters
from tfautolabel.labels import ABSTAIN

STRESSES = ("plain", "worst rule copied 6 times", "noisy rule everywhere", "4 broadest rules only")
LABELS = (50, 200)
MAY_LOSE = 0.003
"""So much less than the head alone is no loss: a third of what differs from draw to draw."""

Draw = tuple[float, float, bool]
"""Accuracy of the head alone, that with votes if they count, and whether they do."""


def of_one_class(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the same votes of rules for one class each, and their classes."""
    columns, class_ids = [], []
    for column in votes.T:
        for number in np.unique(column[column != ABSTAIN]) if (column != ABSTAIN).any() else range(1):
            columns.append(np.where(column == number, number, ABSTAIN))
            class_ids.append(number)
    return np.stack(columns, axis=1), np.array(class_ids)


def measure(
    features: Features, votes: np.ndarray, k: int, seeds: range, labels: int
) -> dict[str, list[Draw]]:
    """What all draws gave, by stress."""
    found: dict[str, list[Draw]] = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(features.class_ids))
        labelled, rest, test = order[:labels], order[labels:ROWS], order[ROWS : 2 * ROWS]
        truth = features.class_ids[test]
        cast_by_stress = stresses(votes, features.class_ids, k, rng)
        for name in STRESSES:
            cast, class_ids = of_one_class(cast_by_stress[name])
            head = new_head(features, k, seed)
            names = [str(number) for number in range(len(class_ids))]
            learnt = learn_from_votes(
                head, features.values[rest], cast[rest], features.values[labelled],
                features.class_ids[labelled], seed=seed,
                voters=Voters(np.arange(len(class_ids)), class_ids, cast[labelled], names),
            )  # fmt: skip
            alone = mixed = np.asarray(head(features.values[test]))
            if learnt.mixing is not None:
                mixed = np.asarray(
                    learnt.mixing(alone, head.normalization(features.values[test]), cast[test])
                )
            right = [float((one.argmax(axis=1) == truth).mean()) for one in (alone, mixed)]
            found.setdefault(name, []).append((right[0], right[1], learnt.mixing is not None))
    return found


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=list(SETS))
    parser.add_argument("--first-seed", type=int, default=320, help="of the draws (%(default)s)")
    parser.add_argument("--seeds", type=int, default=6, help="draws of each set (%(default)s)")
    arguments = parser.parse_args()
    report = Report("votes_at_prediction", arguments)
    for name, features in read_features(arguments).items():
        votes, _, classes, ids = rule_votes(arguments.data, SETS[name])
        place = {one: row for row, one in enumerate(ids)}
        rows = np.array([place[one] for one in features.ids.tolist()])
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for labels in LABELS:
            by_stress = measure(features, votes[rows], len(classes), seeds, labels)
            for stress, draws in by_stress.items():
                alone, mixed, counted = (np.array(column) for column in zip(*draws, strict=True))
                gains = 100.0 * (mixed - alone)
                report.add(
                    f"{name}, {stress}, {labels} labels",
                    "accuracy with votes at prediction, where held-out labels show a gain",
                    float(mixed.mean()),
                    f">= {alone.mean() - MAY_LOSE:.4f}",
                    result=f"{mixed.mean():.3f} ({gains.mean():+.2f} points, worst draw {gains.min():+.1f}), "
                    f"taken in {int(counted.sum())} of {len(draws)}",
                    peer=f"the head alone {alone.mean():.3f}",
                    draws=mixed.tolist(),
                )
    report.save()


if __name__ == "__main__":
    main()
