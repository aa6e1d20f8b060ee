"""What descriptions of classes are worth, without labels and beside a few.

Each class is described by one sentence, and once by its name alone. Without labels, the head learns from the
descriptions only; one row has pools in which one class is four times as frequent as the other. With labels,
the head of the same labels without descriptions is measured beside it, on the same draws. All other examples
are the pool and the test.

The ways to use descriptions and their constants were chosen on draws 100 to 104 of these sets, with one
sentence a class (spam with the backbone e5-small); the draws here are others.

    python benchmarks/descriptions.py [--seeds 10] [--rows 2000] [--sets uci-e5 uci-minilm chinese-e5]
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from accuracy import draw
from recording import Report, options
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.heads import LinearHead
from tfautolabel.labeler.described_head import learn_described
from tfautolabel.labeler.descriptions import DescribedClasses, DescribedPool

LABELS = (1, 2, 4, 8, 16)


class Case(NamedTuple):
    """A set, a backbone, and bars: without labels, and with some labels a class."""

    texts: str
    backbone: str
    alone: float | None
    beside: dict[int, float]


CASES = {
    "uci-e5": Case("uci", "packaged:e5-small", 0.905, {}),
    "uci-minilm": Case("uci", "packaged:minilm-l6", 0.75, {8: 0.79}),
    "chinese-e5": Case("chinese", "packaged:e5-small", 0.78, {8: 0.775}),
    "spam-minilm": Case("spam", "packaged:minilm-l6", None, {}),
}
SENTENCES = {
    "uci": {"negative": ["This is terrible, a waste of money."], "positive": ["This is great, I love it."]},
    "chinese": {"negative": ["这个很差，不值得买。"], "positive": ["这个很好，非常喜欢。"]},
    "spam": {"ham": ["a personal message or a mailing list discussion"], "spam": ["unsolicited advertising"]},
}
NAMES = {
    "uci": {"negative": ["negative"], "positive": ["positive"]},
    "chinese": {"negative": ["差评"], "positive": ["好评"]},
    "spam": {"ham": ["ham"], "spam": ["spam"]},
}


def accuracy(head: LinearHead, features: np.ndarray, class_ids: np.ndarray) -> float:
    """The share of examples that a head labels right."""
    return float((np.asarray(head(features)).argmax(axis=1) == class_ids).mean())


def new_head(features: np.ndarray, k: int, seed: int) -> LinearHead:
    """A head that has learnt nothing."""
    head = LinearHead(features.shape[1], k, seed=seed)
    head.compile()
    return head


def with_descriptions(
    described: DescribedPool, class_ids: np.ndarray, labelled: np.ndarray, seed: int
) -> tuple[float, float]:
    """The accuracy on all examples without a label, and the say of the labels alone."""
    features, k = described.features, int(class_ids.max()) + 1
    pool = replace(described, features=features[~labelled])
    head = new_head(features, k, seed)
    learnt = learn_described(
        head, pool.features, pool.probabilities(), features[labelled], class_ids[labelled], seed=seed
    )
    share = learnt.record["shares"].get("labels", 0.0)
    return accuracy(head, pool.features, class_ids[~labelled]), share


def unequal(class_ids: np.ndarray, seed: int) -> list[np.ndarray]:
    """(n,) bool, twice: rows of which one class has a fifth."""
    rng, found = np.random.default_rng(seed), []
    for rare in range(2):
        kept = class_ids != rare
        rows = np.flatnonzero(~kept)
        many = min(int(kept.sum()), 4 * len(rows))
        kept[rng.choice(np.flatnonzero(kept), int(kept.sum()) - many, replace=False)] = False
        kept[rng.choice(rows, many // 4, replace=False)] = True
        found.append(kept)
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="draws of each number of labels (%(default)s)")
    parser.add_argument("--rows", type=int, default=2000, help="texts of the larger sets (%(default)s)")
    parser.add_argument("--sets", nargs="+", default=list(CASES), help="sets and backbones (%(default)s)")
    arguments = parser.parse_args()
    report = Report("descriptions", arguments)
    for name in arguments.sets:
        case = CASES[name]
        measure_case(name, case, arguments, report)
    report.save()


def measure_case(name: str, case: Case, arguments, report: Report) -> None:
    dataset = tal.load_dataset(text_set(arguments.data, case.texts))
    if len(dataset) > arguments.rows and case.texts != "uci":
        rows = np.random.default_rng(0).choice(len(dataset), arguments.rows, replace=False)
        dataset = dataset.subset(np.sort(rows))
    backbone = tal.load_backbone(case.backbone)
    extract = partial(
        tal.extract_features, backbone=backbone, cache_dir=arguments.data / "features", progress=True
    )
    extraction = extract(dataset)
    class_ids = dataset.class_ids[extraction.rows]
    # The classes are in order of their names, in the data and here.
    named, told = (
        DescribedPool(DescribedClasses.of(texts[case.texts], backbone), extraction.features)
        for texts in (NAMES, SENTENCES)
    )
    none = np.zeros(len(class_ids), bool)
    alone, _ = with_descriptions(told, class_ids, none, 0)
    by_name, _ = with_descriptions(named, class_ids, none, 0)
    bar = None if case.alone is None else f">= {case.alone}"
    measure = "accuracy without labels"
    report.add(f"{name}, a sentence a class", measure, alone, bar, peer=f"names alone {by_name:.3f}")
    shares = [
        with_descriptions(replace(told, features=told.features[kept]), class_ids[kept], none[kept], seed)[0]
        for seed in range(min(arguments.seeds, 3))
        for kept in unequal(class_ids, seed)
    ]
    result = f"{np.mean(shares):.3f}, worst {min(shares):.3f}"
    report.add(f"{name}, shares of 1 to 4", measure, float(np.mean(shares)), result=result, draws=shares)
    for labels in LABELS:
        found, plain, said = [], [], []
        for seed in range(arguments.seeds):
            labelled = draw(class_ids, labels, seed)
            right, share = with_descriptions(told, class_ids, labelled, seed)
            head = new_head(told.features, len(dataset.classes), seed)
            head.fit(told.features[labelled], class_ids[labelled])
            found.append(right)
            plain.append(accuracy(head, told.features[~labelled], class_ids[~labelled]))
            said.append(share)
        gains = np.subtract(found, plain)
        least = case.beside.get(labels)
        if labels == 1 and case.alone is not None:
            least = alone - 0.01
        if case.alone is None:
            least = float(np.mean(plain)) - 0.003
        report.add(
            f"{name}, {labels} {'label' if labels == 1 else 'labels'} a class",
            "accuracy with labels and descriptions",
            float(np.mean(found)),
            None if least is None else f">= {least:.3f}",
            result=f"{np.mean(found):.3f}, worst draw {min(found):.3f}",
            peer=f"labels alone {np.mean(plain):.3f}, worst draw {min(plain):.3f}",
            ratio=f"{100 * gains.mean():+.1f} points, worst draw {100 * gains.min():+.1f}",
            draws=found,
            labels_alone=plain,
            say_of_labels_alone=said,
        )


if __name__ == "__main__":
    main()
