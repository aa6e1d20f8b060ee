"""Two things that labels from rules could do besides: votes at prediction, and labels in the label model.

Votes at prediction: the head that learns from rules and labels says three parts of a probability, and the
votes on the example itself (half vote share, half label model, as the head's soft labels) one part; once
everywhere, and once only where a head of the labels alone agrees with the votes. Labels in the label model:
the votes on labelled examples are known to be right or wrong (`LabelModel.fit(gold=)`).

Neither is built. Labels in the label model change nothing beyond chance. Votes at prediction help, but then
labels depend on rules wherever they are made: in Python, in a saved labeler, in an exported model, and only
some rules can go into that.

Draws of 1,000 examples for votes and labels and 1,000 others to measure. The part of one in four was chosen
on seeds 200 to 205, from one in two, one in four and a product; seeds 206 to 211 confirm it.

    python benchmarks/votes_at_prediction.py [--first-seed 206] [--seeds 6] [--sets uci uci-e5 spam]
"""

from __future__ import annotations

import numpy as np
from recording import Report
from rule_heads import LABELS, ROWS, SETS, new_head
from rule_sets import rule_votes, stresses
from trust_sets import Features, read_features, trust_options

from tfautolabel.labeler import votes_to_head
from tfautolabel.labels import ABSTAIN
from tfautolabel.rules import LabelModel

STRESSES = ("plain", "noisy rule everywhere", "4 broadest rules only")
PART = 0.25
"""What the votes on an example count beside the head."""
USUAL = "the head alone"


def with_votes(head: np.ndarray, votes: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mixes (n, k) probabilities of a head and of votes, where (n,) bool says."""
    return np.where(where[:, None], (1.0 - PART) * head + PART * votes, head)


def measure(features: Features, votes: np.ndarray, k: int, seeds: range) -> dict[str, dict[str, list[float]]]:
    """Accuracies of all draws, by stress and by what is done."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(features.class_ids))
        labelled, rest, test = order[:LABELS], order[LABELS:ROWS], order[ROWS : 2 * ROWS]
        truth, known = features.class_ids[test], features.class_ids[labelled]
        cast_by_stress = stresses(votes, features.class_ids, k, rng)
        head = new_head(features, k, seed)
        head.normalization.adapt(features.values[order[:ROWS]])
        of_labels, of_rest, of_test = (
            np.asarray(head.normalization(features.values[rows])) for rows in (labelled, rest, test)
        )
        gold = votes_to_head._Gold(of_labels, known)
        alone = votes_to_head._gold_head(head, gold, seed)(of_test)
        for name in STRESSES:
            cast = cast_by_stress[name]
            both = np.concatenate([cast[rest], cast[labelled]])
            truths = np.concatenate([np.full(len(rest), ABSTAIN), known])
            models = {
                "": LabelModel(k).fit(cast[rest]),
                "labels in the label model": LabelModel(k).fit(both, gold=truths),
            }
            right = found.setdefault(name, {})
            for kind, model in models.items():
                soft, covered = votes_to_head.soft_labels(model, cast[rest])
                pool = votes_to_head._Pool(of_rest, soft, covered)
                usual = votes_to_head._weak_head(pool, gold, k)(of_test)
                said, has_votes = votes_to_head.soft_labels(model, cast[test])
                agrees = has_votes & (alone.argmax(axis=1) == said.argmax(axis=1))
                ways = {USUAL: usual} if not kind else {kind: usual}
                if not kind:
                    ways["votes at prediction"] = with_votes(usual, said, has_votes)
                    ways["votes at prediction where the labels agree"] = with_votes(usual, said, agrees)
                for way, probabilities in ways.items():
                    accuracy = float((probabilities.argmax(axis=1) == truth).mean())
                    right.setdefault(way, []).append(accuracy)
    return found


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=list(SETS))
    parser.add_argument("--first-seed", type=int, default=206, help="of the draws (%(default)s)")
    parser.add_argument("--seeds", type=int, default=6, help="draws of each set (%(default)s)")
    arguments = parser.parse_args()
    report = Report("votes_at_prediction", arguments)
    for name, features in read_features(arguments).items():
        votes, _, classes, ids = rule_votes(arguments.data, SETS[name])
        place = {one: row for row, one in enumerate(ids)}
        rows = np.array([place[one] for one in features.ids.tolist()])
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for stress, by_way in measure(features, votes[rows], len(classes), seeds).items():
            usual = float(np.mean(by_way[USUAL]))
            for way, right in by_way.items():
                if way == USUAL:
                    continue
                report.add(
                    f"{name}, {stress}: {way}",
                    f"accuracy with {LABELS} labels, measured, not built",
                    float(np.mean(right)),
                    None,
                    result=f"{np.mean(right):.3f} ({100 * (np.mean(right) - usual):+.1f} points)",
                    peer=f"{USUAL} {usual:.3f}",
                    draws=right,
                )
    report.save()


if __name__ == "__main__":
    main()
