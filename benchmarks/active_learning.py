"""What asking the right examples is worth: query strategies against random questions, in simulated sessions.

Frozen features, a pool of at most 1,000 examples (65 % of a small set) and at most 1,000 others to test on;
the seed decides both. After each batch of ten answers, or as many as there are classes, the default head
learns from all answers. Sessions start with two labels a class and end at 260 labels. The area is the mean
difference to random questions, in points of test accuracy, over sizes that grow by a fifth, at least by ten:
a label more is worth more where there are few. "labels to reach" reads the mean curves.

Further parts: questions from zero labels; a class with 2 % of the pool; a tenth of the answers wrong; whether
what the random share certifies is true; the time of a batch on large pools that are memory maps;
scikit-activeml's strategies in the same loop.

The default was chosen on seeds 3 to 6, with another head; the bars are measured on seeds 0 to 9. Seeds 100 to
104 are for whoever changes a constant.

    python benchmarks/active_learning.py [--parts curves cold rare wrong certificates time peers]
        [--seeds 10] [--first 0] [--fsdd ARCHIVE] [--peer-python PYTHON_WITH_SCIKIT_ACTIVEML]
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from active_learning_peers import PEERS, Peers
from recording import Report, options
from unequal_labels import Features, features

from tfautolabel.active import (
    DEFAULT_STRATEGY,
    QUERY_STRATEGIES,
    RANDOM_SHARE,
    PoolGeometry,
    PoolState,
    Simulation,
    batch_size_of,
    draws_after,
    next_batch,
    random_order,
    simulate,
)
from tfautolabel.data.shares import share_weights
from tfautolabel.heads import build_head
from tfautolabel.trust import certify

SETS = ("fashion", "digits", "uci", "uci-e5", "speakers", "tux")
REACHED = ("fashion", "digits", "uci", "speakers")
COLD = {"digits": 0.90, "speakers": 0.85, "fashion": 0.68}
PEER_SETS = RARE_SETS = WRONG_SETS = ("fashion", "digits")
CERTIFIED_SETS, CERTIFIED_SEEDS = ("fashion", "digits", "uci", "speakers"), range(1000, 1050)
CERTIFIED_ERROR = 0.10
"""At the end of a session 36 to 39 answers are drawn ones, too few for 5 %."""
POOL, TEST, LAST = 1000, 1000, 260
PRODUCT = f"{DEFAULT_STRATEGY}, {RANDOM_SHARE:.0%} random"
"""What a session of the product does; the other names are strategies without a random share."""


class Sessions:
    """Plays sessions and keeps them in a file; with --resume, those in the file are not played again."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.sets: Callable[[str], Features] = functools.cache(lambda name: features(name, arguments))
        self.file = arguments.data / "active_learning.jsonl"
        self.known: dict[str, dict[str, Any]] = {}
        if not arguments.resume:
            self.file.unlink(missing_ok=True)
        elif self.file.exists():
            lines = map(json.loads, self.file.read_text().splitlines())
            self.known = {line["key"]: line for line in lines}

    def of(self, names: Iterable[str]) -> list[str]:
        """Those of some sets that are asked for and there: sounds need their archive."""
        arguments = self.arguments
        sounds = () if arguments.fsdd is not None else ("digits", "speakers")
        return [name for name in names if name in arguments.sets and name not in sounds]

    def play(
        self, part: str, name: str, strategy: str, seed: int, make: Callable[[], Simulation]
    ) -> dict[str, Any]:
        key = f"{part}/{name}/{strategy}/{seed}"
        if key not in self.known:
            found = make()
            self.known[key] = {
                "key": key,
                "sizes": found.sizes.tolist(),
                "test": found.test_accuracy.tolist(),
                "rows": found.rows.tolist(),
            }
            with self.file.open("a") as file:
                file.write(json.dumps(self.known[key]) + "\n")
        return self.known[key]


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    pool = min(POOL, int(0.65 * n))
    return order[:pool], order[pool : pool + TEST]


def two_a_class(truth: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(1000 + seed)
    return np.concatenate([rng.permutation(np.flatnonzero(truth == k))[:2] for k in np.unique(truth)])


def played(
    found: Features, seed: int, strategy: Any, from_zero: bool, last: int, **settings: Any
) -> Simulation:
    pool, test = split(len(found.class_ids), seed)
    truth, k = found.class_ids[pool], len(np.unique(found.class_ids))
    start = np.zeros(0, np.int64) if from_zero else two_a_class(truth, seed)
    sizes = list(range(len(start), last + 1, batch_size_of(k)))
    sizes = [size for size in sizes if size and size < last] + [last]
    share = RANDOM_SHARE if strategy == PRODUCT else 0.0
    return simulate(
        found.values[pool], truth, k, sizes=sizes, start=start, random_share=share,
        strategy=DEFAULT_STRATEGY if strategy == PRODUCT else strategy,
        test_features=found.values[test], test_truth=found.class_ids[test], seed=seed, **settings,
    )  # fmt: skip


def area(sizes: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The mean of (seeds, sizes) differences over sizes that grow by a fifth, in points, for each seed."""
    at = [float(sizes[0])]
    while at[-1] < sizes[-1]:
        at.append(min(at[-1] + max(10.0, round(0.2 * at[-1])), float(sizes[-1])))
    return 100 * np.array([np.interp(at[1:], sizes, one).mean() for one in gains])


def reached(sizes: np.ndarray, curve: np.ndarray, target: float) -> float:
    """The labels at which a curve first has an accuracy, between two sizes by a line; infinity if never."""
    above = np.flatnonzero(curve >= target)
    if not len(above):
        return np.inf
    at = int(above[0])
    if at == 0:
        return float(sizes[0])
    part = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(sizes[at - 1] + part * (sizes[at] - sizes[at - 1]))


def curves_of(sessions: Sessions, part: str, name: str, strategy: str, seeds: range, **settings: Any) -> Any:
    """The sizes, and (seeds, sizes) test accuracies."""
    made = [
        sessions.play(
            part, name, strategy, seed,
            lambda seed=seed: played(sessions.sets(name), seed, strategy, False, LAST, **settings),
        )
        for seed in seeds
    ]  # fmt: skip
    return np.array(made[0]["sizes"]), np.array([session["test"] for session in made])


def curves(sessions: Sessions, report: Report, seeds: range, strategies: list[str]) -> None:
    areas: dict[str, dict[str, float]] = {strategy: {} for strategy in strategies}
    labels: dict[str, dict[str, list[float]]] = {strategy: {} for strategy in strategies}
    errors: dict[str, dict[str, float]] = {strategy: {} for strategy in strategies}
    steps: dict[str, dict[str, float]] = {strategy: {} for strategy in strategies}
    plain: dict[str, list[float]] = {}
    for name in sessions.of(SETS):
        sizes, random = curves_of(sessions, "curves", name, "random", seeds)
        targets = [float(np.interp(at, sizes, random.mean(axis=0))) for at in (50, 100, 200)]
        plain[name] = targets
        for strategy in strategies:
            _, found = curves_of(sessions, "curves", name, strategy, seeds)
            gains = area(sizes, found - random)
            areas[strategy][name] = float(gains.mean())
            errors[strategy][name] = float(gains.std(ddof=1) / np.sqrt(len(gains)))
            steps[strategy][name] = float(100 * (found - random).mean())
            labels[strategy][name] = [
                reached(sizes, found.mean(axis=0), target) if sizes[-1] >= at else np.nan
                for target, at in zip(targets[1:], (100, 200), strict=True)
            ]
            print(f"{name:9} {strategy:34} {gains.mean():+.2f} ± {errors[strategy][name]:.2f}  "
                  f"random@100 at {labels[strategy][name][0]:.0f}, @200 at {labels[strategy][name][1]:.0f}",
                  flush=True)  # fmt: skip
    for strategy in strategies:
        of_sets = areas[strategy]
        mean, worst = float(np.mean(list(of_sets.values()))), min(of_sets, key=lambda name: of_sets[name])
        is_product = strategy == PRODUCT and len(of_sets) == len(SETS)
        shown = ", ".join(f"{name} {area:+.1f}" for name, area in of_sets.items())
        report.add(
            f"{strategy}: area over random",
                f"points of accuracy, mean of {len(of_sets)} sets, {len(seeds)} seeds", mean,
            ">= 1.8" if is_product else None, result=f"{mean:+.2f}", peer=shown,
            areas=of_sets, areas_over_steps_of_ten=steps[strategy],
            standard_errors=errors[strategy], random_at_50_100_200=plain,
        )  # fmt: skip
        if is_product:
            report.add(
                f"{strategy}: area on the worst set", "points of accuracy", of_sets[worst], ">= -0.3",
                result=f"{of_sets[worst]:+.2f}", peer=worst,
            )  # fmt: skip
        found = {name: labels[strategy][name][0] for name in sessions.of(REACHED)}
        report.add(
            f"{strategy}: labels to reach random's accuracy at 100", f"labels, worst of {len(found)} sets",
            max(found.values()), "<= 60" if is_product else None, result=f"{max(found.values()):.0f}",
            peer=", ".join(f"{name} {count:.0f}" for name, count in found.items()), labels=labels[strategy],
        )  # fmt: skip
        for place, at in enumerate((100, 200)):
            halves = [name for name in areas[strategy] if labels[strategy][name][place] <= at / 2]
            report.add(
                f"{strategy}: half the labels for random's accuracy at {at}",
                f"sets of {len(of_sets)}", len(halves),
                ">= 4" if is_product else None, result=str(len(halves)), peer=", ".join(halves),
            )  # fmt: skip


def cold(sessions: Sessions, report: Report, seeds: range) -> None:
    for name, least in COLD.items():
        if name not in sessions.of(COLD):
            continue
        k = len(np.unique(sessions.sets(name).class_ids))
        for strategy in (PRODUCT, DEFAULT_STRATEGY, "random", "typiclust"):
            ends = []
            for seed in seeds:
                make = functools.partial(played, sessions.sets(name), seed, strategy, True, 2 * k)
                ends.append(sessions.play("cold", name, strategy, seed, make)["test"][-1])
            mean = float(np.mean(ends))
            report.add(
                f"{name} from zero, two questions a class: {strategy}",
                f"test accuracy, {len(seeds)} seeds", mean,
                f">= {least}" if strategy == PRODUCT else None, result=f"{mean:.3f}", of_seeds=ends,
            )  # fmt: skip


def rare(sessions: Sessions, report: Report, seeds: range) -> None:
    """One class, which the seed decides, has 2 % of the pool."""

    def pool_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
        found, rng = sessions.sets(name), np.random.default_rng(seed)
        k = len(np.unique(found.class_ids))
        few = seed % k
        rows = [rng.permutation(np.flatnonzero(found.class_ids == few))[:20]]
        rows.append(rng.permutation(np.flatnonzero(found.class_ids != few))[: POOL - 20])
        pool = rng.permutation(np.concatenate(rows))
        return found.values[pool], found.class_ids[pool], few

    ratios = []
    for name in sessions.of(RARE_SETS):
        finds: dict[str, list[float]] = {}
        for strategy in (PRODUCT, "margin", "random"):
            counts = []
            for seed in seeds:
                values, truth, few = pool_of(name, seed)
                k = int(truth.max()) + 1
                made = sessions.play(
                    "rare", name, strategy, seed,
                    lambda values=values, truth=truth, k=k, seed=seed, strategy=strategy: simulate(
                        values, truth, k, sizes=range(10, 201, 10), seed=seed,
                        strategy=DEFAULT_STRATEGY if strategy == PRODUCT else strategy,
                        random_share=RANDOM_SHARE if strategy == PRODUCT else 0.0,
                    ),
                )  # fmt: skip
                hits = truth[np.array(made["rows"])] == few
                counts.append([int(hits[:asked].sum()) for asked in (50, 100, 200)])
            finds[strategy] = np.mean(counts, axis=0).tolist()
        ratio = finds[PRODUCT][2] / max(finds["random"][2], 1e-9)
        ratios.append(ratio)
        report.add(
            f"{name}, a class of 2 %: found after 200 questions",
            f"times random's finds, {len(seeds)} seeds", ratio, ">= 1.5",
            result=f"{finds[PRODUCT][2]:.1f} of 20",
            peer=f"random {finds['random'][2]:.1f}, margin {finds['margin'][2]:.1f}", ratio=f"{ratio:.2f}",
            finds_after_50_100_200=finds,
        )  # fmt: skip


def wrong(sessions: Sessions, report: Report, seeds: range) -> None:
    for name in sessions.of((*WRONG_SETS, "uci")):
        sizes, random = curves_of(sessions, "wrong", name, "random", seeds, error_rate=0.1)
        for strategy in (PRODUCT, "margin"):
            _, found = curves_of(sessions, "wrong", name, strategy, seeds, error_rate=0.1)
            gains = area(sizes, found - random)
            report.add(
                f"{name}, a tenth of the answers wrong: {strategy}",
                f"points of accuracy, area over random, {len(seeds)} seeds",
                float(gains.mean()), ">= 0" if strategy == PRODUCT else None, result=f"{gains.mean():+.2f}",
                standard_error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
            )  # fmt: skip


def certificates(sessions: Sessions, report: Report) -> None:
    """Is what the random share certifies true of the examples that nobody was asked about?

    A head that has learnt from the chosen answers alone is certified by the drawn ones, which it has not
    seen. The strategy has looked at heads that learnt from both, so this is measured and not proven.
    """
    made, wrong_ones, accepted = 0, 0, []
    levels = {"target_error": CERTIFIED_ERROR, "confidence": 0.95}
    for name in sessions.of(CERTIFIED_SETS):
        found = sessions.sets(name)
        k = len(np.unique(found.class_ids))
        for seed in CERTIFIED_SEEDS:
            pool, _ = split(len(found.class_ids), seed)
            values, truth = found.values[pool], found.class_ids[pool]
            start = two_a_class(truth, seed)
            make = functools.partial(
                simulate, values, truth, k, sizes=range(60, LAST + 1, 40), start=start,
                random_share=RANDOM_SHARE, seed=seed,
            )  # fmt: skip
            rows = np.array(sessions.play("certificates", name, PRODUCT, seed, make)["rows"])
            drawn = random_order(len(pool), seed)[: draws_after(len(rows) - len(start))]
            chosen = np.isin(rows, start) | ~np.isin(rows, drawn)
            head = build_head("linear", values.shape[1], k, seed)
            class_weight = share_weights(truth[rows[chosen]], k, "chosen")
            head.fit(values[rows[chosen]], truth[rows[chosen]], class_weight=class_weight)
            known = np.asarray(head(values))
            scores, right = known.max(axis=1), known.argmax(axis=1) == truth
            others = np.setdiff1d(np.arange(len(pool)), rows)
            judged = rows[~chosen]
            one = certify(scores[judged], right[judged], pool_scores=scores[others], **levels)
            if one.threshold is not None:
                kept = others[scores[others] >= one.threshold]
                made += 1
                accepted.append(len(kept) / len(others))
                wrong_ones += bool(len(kept)) and (~right[kept]).mean() > CERTIFIED_ERROR
        print(f"{name:9} {made} certificates, {wrong_ones} wrong", flush=True)
    total = len(CERTIFIED_SEEDS) * len(sessions.of(CERTIFIED_SETS))
    report.add(
        f"certificates of {total} sessions by the random share, at most {CERTIFIED_ERROR:.0%} wrong",
        "share of the sessions whose certificate is wrong", wrong_ones / total, "<= 0.05",
        result=f"{wrong_ones} of {total}",
        peer=f"{made} certified, which accept {np.mean(accepted) if accepted else 0:.0%} of the others",
    )  # fmt: skip


def times(report: Report) -> None:
    """The first batch of a session and one later on, with 500 labels and ten classes."""
    rng = np.random.default_rng(0)
    for n, most in ((50_000, 3.0), (1_000_000, 2.0)):
        with tempfile.TemporaryDirectory() as folder:
            values = np.memmap(Path(folder) / "features", np.float32, "w+", shape=(n, 1280))
            for start in range(0, n, 50_000):
                values[start : start + 50_000] = rng.random((min(50_000, n - start), 1280), np.float32)
            scores = rng.random((n, 10), np.float32) ** 4
            known = scores / scores.sum(axis=1, keepdims=True)
            for strategy in QUERY_STRATEGIES:
                geometry, seconds = PoolGeometry(values), []
                labelled = rng.choice(n, 500, replace=False)
                for _ in range(4):
                    start_time = time.perf_counter()
                    state = PoolState(values, labelled, known, 10, geometry=geometry)
                    batch = next_batch(state, 10, strategy=strategy, asked=480, seed=0)
                    seconds.append(time.perf_counter() - start_time)
                    labelled = np.concatenate([labelled, batch.rows])
                default = strategy == DEFAULT_STRATEGY
                report.add(
                    f"{n:,} x 1,280: a batch of ten, {strategy}", "seconds, the slowest of four batches",
                    max(seconds), f"< {most}" if default else None, result=f"{max(seconds):.2f}",
                    peer=f"later batches {np.median(seconds[1:]):.2f}", seconds=seconds,
                )  # fmt: skip


def peers(sessions: Sessions, report: Report, seeds: range) -> None:
    """scikit-activeml's strategies, with our head after each batch; fewer sets, since they take longer."""
    theirs = Peers(sessions.arguments.peer_python)
    for name in sessions.of(PEER_SETS):
        found = sessions.sets(name)
        sizes, random = curves_of(sessions, "curves", name, "random", seeds)
        _, own = curves_of(sessions, "curves", name, PRODUCT, seeds)
        told = {PRODUCT: float(area(sizes, own - random).mean())}
        for peer in PEERS:
            made = []
            for seed in seeds:
                pool, _ = split(len(found.class_ids), seed)
                truth, k = found.class_ids[pool], len(np.unique(found.class_ids))
                strategy = theirs.strategy(peer, truth, k, seed)
                make = functools.partial(played, found, seed, strategy, False, LAST)
                made.append(sessions.play("peers", name, peer, seed, make)["test"])
            told[peer] = float(area(sizes, np.array(made) - random).mean())
            print(f"{name:9} {peer:20} {told[peer]:+.2f}", flush=True)
        best = max(PEERS, key=lambda peer: told[peer])
        report.add(
            f"{name}: area over random, beside scikit-activeml", "points of accuracy", told[PRODUCT],
            result=f"{told[PRODUCT]:+.2f}", peer=", ".join(f"{peer} {told[peer]:+.2f}" for peer in PEERS),
            ratio=f"{told[PRODUCT] - told[best]:+.2f} to its best", version=theirs.version(),
        )  # fmt: skip
    theirs.close()


PARTS = ("curves", "cold", "rare", "wrong", "certificates", "time", "peers")


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS[:-1]))
    parser.add_argument("--strategies", nargs="+", default=[PRODUCT, *QUERY_STRATEGIES])
    parser.add_argument("--fsdd", type=Path, help="the archive of the Free Spoken Digit Dataset")
    parser.add_argument("--peer-python", help="the Python of an environment with scikit-activeml")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--resume", action="store_true", help="goes on with the sessions of a stopped run")
    arguments = parser.parse_args()
    report, sessions = Report("active_learning", arguments), Sessions(arguments)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if "curves" in arguments.parts:
        chosen = [strategy for strategy in arguments.strategies if strategy != "random"]
        curves(sessions, report, seeds, chosen)
    for part, measure in (("cold", cold), ("rare", rare), ("wrong", wrong)):
        if part in arguments.parts:
            measure(sessions, report, seeds)
    if "certificates" in arguments.parts:
        certificates(sessions, report)
    if "peers" in arguments.parts:
        if arguments.peer_python is None:
            parser.error("peers need --peer-python, an environment with scikit-activeml")
        peers(sessions, report, seeds)
    if "time" in arguments.parts:
        times(report)
    report.save()


if __name__ == "__main__":
    main()
