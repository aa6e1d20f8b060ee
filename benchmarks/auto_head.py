"""What a pool without labels is worth: the head "auto" against the linear head, on the same labels and pools.

Accuracy is that on the pool. Pools are balanced, as the set is; have Dirichlet(1) shares; lack half of the
classes; or hold a quarter of classes that nobody labelled, of which accuracy then says nothing. A cell is the
mean of all draws for one set and number of labels.

Certificates: as in trust_validity.py, over 50 heads and four random samples of each, how often accepted
labels are worse than the target, and which share is accepted; beside that, the estimate from the labels
that the head has learnt from.

Audits: in pools of other shares, answers come in the order of the audit's design, and after 100 and 300 of
them it is seen whether labels worse than the target are certified. The labels that the head has learnt from
are balanced.

Memory: the largest resident memory of a process that fits the head with a pool and looks at all of it, beyond
what it had before, in multiples of the features.

    python benchmarks/auto_head.py [--draws 10] [--labels 8 16] [--pools balanced dirichlet missing strangers]
        [--parts accuracy certificates audits memory] [--sets uci fashion-mnist] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from accuracy import draw
from recording import Report, read_rows, run_worker
from scipy.stats import binom
from trust_sets import Features, read_features, trust_options

from tfautolabel.heads import AutoHead, build_head
from tfautolabel.heads.auto import LEVELS
from tfautolabel.training import train_head
from tfautolabel.trust import certify, certify_audited, design_audit

POOLS = ("balanced", "dirichlet", "missing", "strangers")
MEANS = {"balanced": 1.5, "others": 1.2, "few": 3.0}
"""The least mean gain in points: over all cells with balanced pools, with others, and with few labels."""
WORST = {"balanced": -0.3, "others": -0.5, "few": -1.5}
"""The least gain of any cell."""
MEAN = ", mean gain"
NAMES = {
    "balanced": "balanced pools, 8 labels a class and more",
    "others": "pools of other shares, 8 labels a class and more",
    "few": "fewer labels a class",
}
ENOUGH = 8
"""Fewer labels a class are few."""
SETS = ("uci", "uci-e5", "spam", "digits", "speakers-resemblyzer", "fashion-mnist", "tux-stamps")
FEWEST_ROWS = 600
HEADS = ("linear", "auto")
PARTS = ("accuracy", "certificates", "audits", "memory")
LARGE, WIDE, MEMORY = 50_000, 1_280, 1.5
"""The rows and columns of a large pool, and how much memory may grow, in multiples of its features."""
TARGET, CONFIDENCE = 0.05, 0.95
ANSWERS = (100, 300)
PER_CLASS, SIZES, SAMPLES = 20, (100, 200, 500), 4


def usable(features: Features, labels: int) -> Features:
    """Without classes that have too few examples for so many labels and a pool."""
    counts = np.bincount(features.class_ids)
    kept = np.isin(features.class_ids, np.flatnonzero(counts > labels))
    numbers = np.unique(features.class_ids[kept], return_inverse=True)[1]
    return Features(features.values[kept], numbers, features.ids[kept])


def pool_rows(class_ids: np.ndarray, drawn: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """The rows of a pool with certain shares, among those that are not drawn."""
    rest, k = np.flatnonzero(~drawn), int(class_ids.max()) + 1
    if kind in ("balanced", "strangers"):
        return rest
    rng = np.random.default_rng(1_000 + seed)
    shares = rng.dirichlet(np.ones(k))
    if kind == "missing":
        shares = np.zeros(k)
        shares[rng.permutation(k)[: max(k // 2, 1)]] = 1.0 / max(k // 2, 1)
    available = np.bincount(class_ids[rest], minlength=k)
    size = max(min(available[c] / shares[c] for c in range(k) if shares[c] > 1e-9), FEWEST_ROWS)
    counts = np.minimum(np.round(size * shares).astype(int), available)
    parts = [rng.permutation(rest[class_ids[rest] == c])[: counts[c]] for c in range(k)]
    return np.sort(np.concatenate(parts))


def fit(name: str, known: np.ndarray, class_ids: np.ndarray, pool: np.ndarray, k: int, seed: int) -> tuple:
    """A head's out-of-fold probabilities and its probabilities for the pool."""
    head = build_head(name, known.shape[1], k, seed)
    trained = train_head(head, known, class_ids, seed=seed, pool=pool)
    starts = range(0, len(pool), 4096)
    parts = [np.asarray(head(pool[at : at + 4096], training=False)) for at in starts]
    return trained.out_of_fold, np.concatenate(parts), getattr(head, "pool_", None)


def gain(features: Features, kind: str, labels: int, seed: int) -> tuple[float, float]:
    """The accuracies of both heads for one draw."""
    class_ids = features.class_ids
    drawn = draw(class_ids, labels, seed)
    rows = pool_rows(class_ids, drawn, kind, seed)
    labelled = np.flatnonzero(drawn)
    classes = np.arange(int(class_ids.max()) + 1)
    if kind == "strangers":
        order = np.random.default_rng(2_000 + seed).permutation(classes)
        classes = np.sort(order[max(len(classes) // 4, 1) :])
        labelled = labelled[np.isin(class_ids[labelled], classes)]
    known_ids = np.searchsorted(classes, class_ids[labelled])
    asked = np.isin(class_ids[rows], classes)
    found = []
    for name in HEADS:
        values = features.values
        probabilities = fit(name, values[labelled], known_ids, values[rows], len(classes), seed)[1]
        found.append(float((classes[probabilities.argmax(1)] == class_ids[rows])[asked].mean()))
    return found[0], found[1]


def accuracy(every: dict[str, Features], kind: str, arguments: argparse.Namespace, report: Report) -> None:
    for labels in arguments.labels:
        cells = {}
        for name, features in every.items():
            some = usable(features, labels)
            if kind == "strangers" and int(some.class_ids.max()) < 3:
                continue  # with two classes, one would be left
            pairs = np.array([gain(some, kind, labels, seed) for seed in range(arguments.draws)]) * 100.0
            gains = pairs[:, 1] - pairs[:, 0]
            cells[name] = {
                "linear": round(float(pairs[:, 0].mean()), 2),
                "auto": round(float(pairs[:, 1].mean()), 2),
                "gain": round(float(gains.mean()), 2),
                "worst draw": round(float(gains.min()), 2),
            }
            print(kind, labels, name, cells[name], flush=True)
        add_cells(cells, kind, labels, arguments.draws, report)


def add_cells(cells: dict[str, dict], kind: str, labels: int, draws: int, report: Report) -> None:
    worst = min(cells, key=lambda one: cells[one]["gain"])
    mean = float(np.mean([one["gain"] for one in cells.values()]))
    shown = "; ".join(f"{name} {c['linear']:.1f} {c['gain']:+.1f}" for name, c in cells.items())
    what = f"points of accuracy more than the linear head, {draws} draws"
    report.add(
        f"{kind} pool, {labels} labels a class{MEAN}",
        f"{what}, mean of {len(cells)} sets",
        mean,
        result=f"{mean:+.2f}",
        peer=f"linear, and the gain: {shown}",
        cells=cells,
    )
    report.add(
        f"{kind} pool, {labels} labels a class, worst set",
        what,
        cells[worst]["gain"],
        f">= {WORST[group(kind, labels)]}",
        result=f"{cells[worst]['gain']:+.2f} ({worst})",
    )


def group(kind: str, labels: int) -> str:
    if labels < ENOUGH:
        return "few"
    return "balanced" if kind == "balanced" else "others"


def overall(report: Report) -> None:
    """The mean over all cells of a group, of this run and of earlier ones in the same file."""
    rows = read_rows(report.folder / f"{report.name}.json")
    rows.update({row["row"]: row for row in report.rows})
    gains: dict[str, list[float]] = {}
    for name, row in rows.items():
        if name.endswith(MEAN) and name.split()[0] in POOLS:
            kind, labels = name.split()[0], int(name.split()[2])
            gains.setdefault(group(kind, labels), []).extend(
                one["gain"] for one in row["details"]["cells"].values()
            )
    for name, found in gains.items():
        mean = float(np.mean(found))
        report.add(
            f"all cells, {NAMES[name]}{MEAN}",
            f"points of accuracy more than the linear head, mean of {len(found)} cells",
            mean,
            f">= {MEANS[name]}",
            result=f"{mean:+.2f}",
        )


def certificates(name: str, features: Features, heads: int, report: Report) -> None:
    """Certificates from random samples of the pool, and estimates from out-of-fold probabilities."""
    some = usable(features, PER_CLASS)
    k = int(some.class_ids.max()) + 1
    wrong: dict[str, list[list[bool]]] = {head: [] for head in HEADS}
    shares: dict[str, list[list[float]]] = {head: [] for head in HEADS}
    estimates: dict[str, list[tuple[bool, float]]] = {head: [] for head in HEADS}
    levels = {"target_error": TARGET, "confidence": CONFIDENCE}
    for seed in range(heads):
        drawn = draw(some.class_ids, PER_CLASS, seed)
        known, truth, pool = some.class_ids[drawn], some.class_ids[~drawn], some.values[~drawn]
        for head in HEADS:
            out_of_fold, probabilities, _ = fit(head, some.values[drawn], known, pool, k, seed)
            scores, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth

            def outcome(
                threshold: float | None, scores: np.ndarray = scores, correct: np.ndarray = correct
            ) -> tuple[bool, float]:
                accepted = scores >= (np.inf if threshold is None else np.float32(threshold))
                bad = bool(accepted.any() and (~correct[accepted]).mean() > TARGET)
                return bad, float(accepted.mean())

            own = out_of_fold.argmax(axis=1) == known
            found = certify(out_of_fold.max(axis=1), own, pool_scores=scores, **levels)
            estimates[head].append(outcome(found.threshold))
            for sample in range(SAMPLES):
                order = np.random.default_rng(seed * SAMPLES + sample).permutation(len(scores))
                results = [
                    outcome(certify(scores[rows], correct[rows], pool_scores=scores, **levels).threshold)
                    for rows in (order[:size] for size in SIZES)
                ]
                wrong[head].append([bad for bad, _ in results])
                shares[head].append([share for _, share in results])
    draws = heads * SAMPLES
    per_size = {head: np.mean(wrong[head], axis=0) for head in HEADS}
    accepted = {head: np.mean(shares[head], axis=0) for head in HEADS}
    slack = binom.ppf(0.99, draws, 1 - CONFIDENCE) / draws
    report.add(
        f"certificates that are wrong, {name}",
        f"share of {draws} draws, the worst of {SIZES} labels; the bar is 5 % and chance (99 %)",
        float(per_size["auto"].max()),
        f"<= {slack:.4f}",
        result=" ".join(f"{one:.3f}" for one in per_size["auto"]),
        peer="linear: " + " ".join(f"{one:.3f}" for one in per_size["linear"]),
    )
    report.add(
        f"accepted share, {name}",
        f"mean of {draws} draws and {SIZES} labels, target {TARGET:.0%}",
        float(accepted["auto"].mean()),
        f">= {float(accepted['linear'].mean()):.4f}",
        peer="linear: " + " ".join(f"{one:.3f}" for one in accepted["linear"]),
        result=" ".join(f"{one:.3f}" for one in accepted["auto"]),
    )
    bad, share = ({h: float(np.mean([e[i] for e in estimates[h]])) for h in HEADS} for i in (0, 1))
    report.add(
        f"estimates that are wrong, {name}",
        f"share of {heads} heads that learnt {PER_CLASS} labels a class, judged by these same labels",
        bad["auto"],
        result=f"{bad['auto']:.3f}, accepts {share['auto']:.3f}",
        peer=f"linear: {bad['linear']:.3f}, accepts {share['linear']:.3f}",
    )


def audits(name: str, features: Features, kind: str, heads: int, report: Report) -> None:
    """Audits of pools whose shares are not those of the labels."""
    some = usable(features, PER_CLASS)
    k = int(some.class_ids.max()) + 1
    wrong: dict[str, list[bool]] = {head: [] for head in HEADS}
    shares: dict[str, list[list[float]]] = {head: [] for head in HEADS}
    for seed in range(heads):
        drawn = draw(some.class_ids, PER_CLASS, seed)
        rows = pool_rows(some.class_ids, drawn, kind, seed)
        known, truth, pool = some.class_ids[drawn], some.class_ids[rows], some.values[rows]
        for head in HEADS:
            _, probabilities, _ = fit(head, some.values[drawn], known, pool, k, seed)
            scores, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
            for sample in range(SAMPLES):
                levels = {"target_error": TARGET, "confidence": CONFIDENCE}
                design = design_audit(scores, seed=seed * SAMPLES + sample, **levels)
                order, ever, reached = design.order(scores, ANSWERS[-1]), False, []
                for count in ANSWERS:
                    asked = order[:count]
                    found = certify_audited(scores, correct[asked], asked, design=design, **levels)
                    accepted = found.accepts(scores)
                    ever |= bool(accepted.any() and (~correct[accepted]).mean() > TARGET)
                    reached.append(float(accepted.mean()))
                wrong[head].append(ever)
                shares[head].append(reached)
    draws = heads * SAMPLES
    slack = binom.ppf(0.99, draws, 1 - CONFIDENCE) / draws
    accepted = {head: np.mean(shares[head], axis=0) for head in HEADS}
    report.add(
        f"audits that are wrong, {name}, {kind} pool",
        f"share of {draws} audits, after any of {ANSWERS} answers; the bar is 5 % and chance (99 %)",
        float(np.mean(wrong["auto"])),
        f"<= {slack:.4f}",
        result=f"{np.mean(wrong['auto']):.3f}, accepts " + " ".join(f"{one:.3f}" for one in accepted["auto"]),
        peer=f"linear: {np.mean(wrong['linear']):.3f}, accepts "
        + " ".join(f"{one:.3f}" for one in accepted["linear"]),
    )
    print(report.rows[-1]["row"], report.rows[-1]["result"], report.rows[-1]["peer"], flush=True)


def memory(report: Report) -> None:
    for level in LEVELS:
        found = run_worker([__file__, "--worker", level])
        report.add(
            f"memory with {LARGE:,} x {WIDE:,} features, {level}",
            "peak, in multiples of the features",
            found["peak"],
            f"<= {MEMORY}",
            result=f"{found['peak']:.2f}",
            ratio=f"{found['fit']:.1f} processor seconds to fit, {found['label']:.1f} to label",
        )


def worker(level: str) -> None:
    """Prints what one level needs; in a process of its own, since memory that was freed counts."""
    rng = np.random.default_rng(0)
    small = rng.normal(size=(2_000, WIDE)).astype(np.float32)
    fitted(level, small)  # what libraries need once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    features = np.empty((LARGE, WIDE), np.float32)
    rng.standard_normal(out=features, dtype=np.float32)
    start = time.process_time()
    head = fitted(level, features)
    after = time.process_time()
    for at in range(0, LARGE, 1024):
        head(features[at : at + 1024], training=False)
    seconds = {"fit": after - start, "label": time.process_time() - after}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"peak": used * 1024 / features.nbytes, **seconds}))


def fitted(level: str, features: np.ndarray) -> AutoHead:
    head = AutoHead(WIDE, 10, level=level)
    head.compile()
    known = np.arange(160)
    head.fit(features[known], known % 10, pool=features)
    return head


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=list(SETS))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[8, 16], help="a class")
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["accuracy"])
    parser.add_argument("--heads", type=int, default=50, help="for certificates")
    parser.add_argument("--worker", choices=LEVELS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    del arguments.worker
    every = read_features(arguments) if {*arguments.parts} - {"memory"} else {}
    report = Report("auto_head", arguments)
    if "memory" in arguments.parts:
        memory(report)
        report.save()
    if "accuracy" in arguments.parts:
        for kind in arguments.pools:
            accuracy(every, kind, arguments, report)
            report.save()
        overall(report)
        report.save()
    if "certificates" in arguments.parts:
        for name, features in every.items():
            certificates(name, features, arguments.heads, report)
            report.save()
    if "audits" in arguments.parts:
        for name, features in every.items():
            for kind in ("dirichlet", "missing"):
                audits(name, features, kind, arguments.heads, report)
                report.save()


if __name__ == "__main__":
    main()
