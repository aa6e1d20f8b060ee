"""How many answers an audit needs, and how often it is wrong, by what the confidences are worth.

Audits are run until all accepted labels are certified (target 5 %, confidence 95 %), in sets of which exactly
0, 1, 2 and 3.5 % are wrong:

- made-up sets, whose errors are drawn by true probabilities with normal log odds (spread 2 unless said
  otherwise), and whose confidences are these probabilities ("calibrated"), twice or half as extreme ("over",
  "under"), the same in random order ("useless"), or rounded to whole per cents ("coarse"). The stakes,
  the weights and how the error budget is split were chosen on "calibrated", "over" and "useless" sets with
  other seeds; the rows of these kinds confirm that on new draws, the others on new kinds;
- the surest labels of heads on 10 and 30 labels a class, as many as make the share wrong.

Peer: a simple random sample, with stakes on 0 to 0.5 of the target and a quarter of the error budget on
higher thresholds: what `certify_audited` did before labels were drawn by their confidence.

How often certificates are wrong is counted in sets with errors just above the target, at every stop: errors
everywhere alike, among the least sure, among the surest labels, and by the confidences.

    python benchmarks/audit_answers.py [--runs 40] [--validity 2000] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
from recording import Report
from scipy.special import expit, logit
from scipy.stats import binom
from trust_sets import fit_head, read_features, trust_options

from tfautolabel.trust import AuditDesign, design_audit
from tfautolabel.trust.audited import audited_thresholds, passed_thresholds, reject_in_sequence
from tfautolabel.trust.betting import log_wealth

TARGET, CONFIDENCE = 0.05, 0.95
RATES = (0.0, 0.01, 0.02, 0.035)
MADE_UP = (
    ("calibrated", 1000, 2.0),
    ("calibrated", 4000, 2.0),
    ("calibrated", 2000, 1.2),
    ("over", 2000, 2.0),
    ("under", 2000, 2.0),
    ("coarse", 2000, 2.0),
    ("useless", 2000, 2.0),
)
MOST = 2_500
"""Answers at which a run ends without a certificate; it counts as so many."""
VALIDITY_POOL, VALIDITY_ANSWERS, VALIDITY_SCORES = 120, 100, 20
BEFORE_WHOLE = 0.75


def made_up(
    rng: np.random.Generator, size: int, rate: float, kind: str, spread: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """(m,) float32 confidences and (m,) bool, of which exactly round(rate x m) are wrong."""
    odds = spread * rng.normal(size=size)
    low, high = -20.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if expit(odds + middle).mean() < max(rate, 0.004) else (low, middle)
    share = np.minimum(expit(odds + low), 0.6)
    clocks = rng.exponential(size=size) / (share / (1.0 - share))
    wrong = np.zeros(size, bool)
    wrong[np.argsort(clocks)[: round(rate * size)]] = True
    doubt = {
        "calibrated": lambda: share,
        "over": lambda: expit(2.0 * logit(share)),
        "under": lambda: expit(0.5 * logit(share)),
        "useless": lambda: rng.permutation(share),
        "coarse": lambda: np.round(share, 2),
    }[kind]()
    return (1.0 - doubt).astype(np.float32), wrong


def surest(scores: np.ndarray, wrong: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray] | None:
    """As many of the surest labels as make at most the rate wrong; None if fewer than 400."""
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    below = np.flatnonzero(shares <= rate)
    if not len(below) or below[-1] < 399:
        return None
    rows = order[: below[-1] + 1]
    return scores[rows], wrong[rows]


def passed_before(scores: np.ndarray, wrong: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the laxest threshold that has passed after each answer of a simple random sample, and all."""
    budget, ordered = 1.0 - CONFIDENCE, np.sort(scores)[::-1]
    places = np.ceil(np.arange(3, 11) / 10 * len(scores)).astype(np.int64) - 1
    thresholds = np.unique(ordered[places])[::-1]
    shares = np.zeros(len(thresholds))
    shares[0] += (1.0 - BEFORE_WHOLE) * budget
    shares[-1] += BEFORE_WHOLE * budget
    paths = np.zeros((len(thresholds), len(order)))
    for at, threshold in enumerate(thresholds):
        inside, size = scores[order] >= threshold, int((scores >= threshold).sum())
        claimed = math.floor(TARGET * size + 1e-9) + 1
        wealth = np.concatenate([[0.0], log_wealth(wrong[order[inside]], np.array([claimed]), size)[0]])
        paths[at] = wealth[np.cumsum(inside)]
    levels = reject_in_sequence(np.exp(-np.maximum.accumulate(np.maximum(paths, 0.0), axis=1)), shares)
    return np.where(levels > 0.0, np.arange(len(thresholds))[:, None], -1).max(axis=0), thresholds


def answers(scores: np.ndarray, wrong: np.ndarray, seed: int) -> tuple[int, int, int, int]:
    """Until anything and until everything is certified: now, and before."""
    count = min(MOST, len(scores))
    design = design_audit(scores, target_error=TARGET, confidence=CONFIDENCE, seed=seed)
    order = design.order(scores, count)
    now = passed_thresholds(scores, ~wrong[order], order, design, TARGET, CONFIDENCE)
    before = passed_before(scores, wrong, AuditDesign.simple(seed).order(scores, count))
    found = []
    for passed, thresholds in ((now, audited_thresholds(scores)[0]), before):
        for least in (0, len(thresholds) - 1):
            hit = passed >= least
            found.append(int(hit.argmax()) + 1 if hit.any() else count)
    return tuple(found)  # type: ignore[return-value]


def add_answers(
    report: Report, name: str, rate: float, found: list[tuple[int, int, int, int]]
) -> tuple[float, float]:
    """Adds a row; the mean number of answers until all is certified, now and before."""
    anything, everything, anything_before, everything_before = np.mean(found, axis=0)
    report.add(
        f"answers until all is certified, {name}, {rate:.1%} wrong",
        f"mean of {len(found)} audits",
        round(float(everything), 1),
        peer=f"simple random sample: {everything_before:.1f}",
        ratio=f"{everything / everything_before - 1:+.0%}",
        anything=float(anything),
        anything_before=float(anything_before),
    )
    print(
        f"{name:32} {rate:.1%} all {everything:6.0f} before {everything_before:6.0f} "
        f"{everything / everything_before - 1:+.0%}   any {anything:6.0f} before {anything_before:6.0f}",
        flush=True,
    )
    return float(everything), float(everything_before)


def power(report: Report, runs: int, real: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    means: dict[float, list[tuple[float, float]]] = {rate: [] for rate in RATES}
    for kind, size, spread in MADE_UP:
        for rate in RATES:
            rng = np.random.default_rng([size, round(1000 * rate), 7])
            found = [answers(*made_up(rng, size, rate, kind, spread), run) for run in range(runs)]
            means[rate].append(add_answers(report, f"{kind}, {size:,}, spread {spread:g}", rate, found))
    for name, outcomes in real.items():
        for rate in RATES[1:]:
            cut = [one for one in (surest(*outcome, rate) for outcome in outcomes) if one is not None]
            if cut:
                found = [answers(*cut[run % len(cut)], run) for run in range(runs)]
                means[rate].append(add_answers(report, f"{name}, {len(cut)} heads", rate, found))
    add_means(report, means)


def add_means(report: Report, means: dict[float, list[tuple[float, float]]]) -> None:
    with_errors = [pair for rate in RATES[1:] for pair in means[rate]]
    said = {f"{rate:.1%} wrong": (means[rate], "<= 1" if rate == 0.0 else None) for rate in RATES}
    for name, (pairs, bar) in {**said, "1, 2 and 3.5 % wrong": (with_errors, "<= 0.75")}.items():
        now, before = np.array(pairs).T
        report.add(
            f"answers against a simple random sample, {name}",
            f"ratio of the means over {len(pairs)} kinds of sets; worst kind {(now / before).max():.2f}",
            round(float(now.mean() / before.mean()), 3),
            bar,
            mean_ratio=float((now / before).mean()),
        )
        print(name, now.mean() / before.mean(), (now / before).mean(), flush=True)


def validity(report: Report, runs: int) -> None:
    slack = binom.ppf(0.99, runs, 1 - CONFIDENCE) / runs
    bad = int(TARGET * VALIDITY_POOL) + 1
    for kind in ("alike", "least sure", "surest", "by confidence", "one confidence"):
        rng, wrong_ones, scores = np.random.default_rng(11), 0, np.zeros(0, np.float32)
        share = bad / VALIDITY_POOL
        for run in range(runs):
            drawn, wrong = made_up(rng, VALIDITY_POOL, share, "calibrated")
            if run % (runs // VALIDITY_SCORES or 1) == 0:
                # Errors are drawn anew for the same confidences: a design takes as long as an audit.
                scores = np.full(VALIDITY_POOL, 0.9, np.float32) if kind == "one confidence" else drawn
                design = design_audit(scores, target_error=TARGET, confidence=CONFIDENCE)
                thresholds = audited_thresholds(scores)[0]
            places = np.argsort(scores)
            if kind == "by confidence":
                places = np.argsort(rng.exponential(size=VALIDITY_POOL) / (1.0 - scores))
            elif kind == "surest":
                places = places[::-1]
            elif kind != "least sure":
                places = rng.permutation(VALIDITY_POOL)
            wrong = np.isin(np.arange(VALIDITY_POOL), places[:bad])
            drawn_by = replace(design, seed=run)
            order = drawn_by.order(scores, VALIDITY_ANSWERS)
            passed = passed_thresholds(scores, ~wrong[order], order, drawn_by, TARGET, CONFIDENCE)
            shares = np.array([wrong[scores >= threshold].mean() for threshold in thresholds])
            wrong_ones += bool((shares[passed[passed >= 0]] > TARGET).any())
        report.add(
            f"audits that are ever wrong, errors {kind}",
            f"share of {runs} audits, after each of {VALIDITY_ANSWERS} answers in {VALIDITY_POOL} labels",
            wrong_ones / runs,
            f"<= {slack:.4f}",
        )
        print(kind, wrong_ones / runs, flush=True)


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--validity", type=int, default=2_000)
    parser.add_argument("--parts", nargs="+", default=["validity", "power"])
    arguments = parser.parse_args()
    report = Report("audit_answers", arguments)
    if "validity" in arguments.parts:
        validity(report, arguments.validity)
    if "power" in arguments.parts:
        power(report, arguments.runs, heads(arguments))
    report.save()


def heads(arguments: argparse.Namespace) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Confidences and errors of heads on few labels."""
    real: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for name, features in read_features(arguments).items():
        for per_class in (10, 30):
            outcomes = [fit_head(features, per_class, seed) for seed in range(4)]
            real[f"{name}, {per_class} a class"] = [
                (one.probabilities.max(axis=1), one.probabilities.argmax(axis=1) != one.truth)
                for one in outcomes
            ]
    return real


if __name__ == "__main__":
    main()
