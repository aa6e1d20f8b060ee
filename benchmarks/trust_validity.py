"""How often a certificate is wrong, and how many labels it accepts.

Measures, over draws of 20 labels a class for each of 50 heads and of four random samples of 100, 200 and 500
further labels for each head, how often the labels that `certify` accepts are worse than the target of 5 %
although it says with 95 % confidence that they are not (the errors among all other examples of the set are
known), and which share of them is accepted. A worst case is made up: scores that say nothing, and errors just
above the target. Audits are run until they succeed or end, with errors just above the target, and without
errors.

Peer: MAPIE's BinaryClassificationController for precision, with its corrections for many thresholds
(bonferroni_holm is its default; fixed_sequence from strict to lax, with 1 and 4 starts), and a plain search
over 20 quantiles with exact binomial bounds and Bonferroni's correction: the same scores and labels, the best
of them for each number of labels. MAPIE's rows need `pip install mapie`.

    python benchmarks/trust_validity.py [--heads 50] [--sets fashion-mnist uci spam digits] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from recording import Report
from scipy.stats import binom
from trust_sets import fit_head, read_features, trust_options

from tfautolabel.trust import SequentialAudit, certify, certify_audited, draw_audit
from tfautolabel.trust.binomial import error_bound

TARGET, CONFIDENCE = 0.05, 0.95
SIZES = (100, 200, 500)
PER_CLASS = 20
SAMPLES = 4
"""Of each head."""
WORST = 0.0501
WORST_RUNS = 2000
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], float | None]


def ours(scores: np.ndarray, correct: np.ndarray, pool: np.ndarray) -> float | None:
    found = certify(scores, correct, target_error=TARGET, confidence=CONFIDENCE, pool_scores=pool)
    return found.threshold


def ours_with(**options: Any) -> Rule:
    def rule(scores: np.ndarray, correct: np.ndarray, pool: np.ndarray) -> float | None:
        levels = {"target_error": TARGET, "confidence": CONFIDENCE}
        return certify(scores, correct, pool_scores=pool, **levels, **options).threshold

    return rule


def plain_search(scores: np.ndarray, correct: np.ndarray, pool: np.ndarray) -> float | None:
    """20 quantiles of the pool, each with a twentieth of the budget."""
    passed = []
    for threshold in np.quantile(pool, np.arange(20) / 20):
        accepted = scores >= threshold
        bound = error_bound(int(accepted.sum()), int((accepted & ~correct).sum()), 1 - (1 - CONFIDENCE) / 20)
        if bound <= TARGET:
            passed.append(float(threshold))
    return min(passed, default=None)


def mapie_rule(method: str, n_starts: int = 0) -> Rule:
    from mapie.risk_control import BinaryClassificationController, FWERFixedSequenceTesting

    def rule(scores: np.ndarray, correct: np.ndarray, pool: np.ndarray) -> float | None:
        del pool
        controller = BinaryClassificationController(
            predict_function=lambda values: np.stack([1 - values, values], axis=1),
            risk="precision",
            target_level=1 - TARGET,
            confidence_level=CONFIDENCE,
            list_predict_params=np.linspace(0.99, 0, 100),
            fwer_method=FWERFixedSequenceTesting(n_starts=n_starts) if n_starts else method,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            controller.calibrate(scores, correct.astype(int))
        return min(map(float, controller.valid_predict_params), default=None)

    return rule


def rules() -> dict[str, Rule]:
    found: dict[str, Rule] = {
        "ours": ours,
        "ours, sizes known": ours_with(source="pool_sample"),
        "plain search": plain_search,
    }
    try:
        found["MAPIE bonferroni_holm"] = mapie_rule("bonferroni_holm")
        found["MAPIE fixed_sequence"] = mapie_rule("fixed_sequence")
        found["MAPIE fixed_sequence, 4 starts"] = mapie_rule("", 4)
    except ImportError:
        print("MAPIE is not installed: its rows are left out", flush=True)
    return found


def measure(arguments: argparse.Namespace, report: Report) -> None:
    """One draw: a head, then every rule on the same random sample."""
    every = rules()
    coverages: dict[tuple[str, int], dict[str, list[float]]] = {}
    wrong: dict[tuple[str, str], list[bool]] = {}
    names = list(read_features(arguments).items())
    for name, features in names:
        for seed in range(arguments.heads * SAMPLES):
            if seed % SAMPLES == 0:
                outcome = fit_head(features, PER_CLASS, seed // SAMPLES)
            scores = outcome.probabilities.max(axis=1)
            correct = outcome.probabilities.argmax(axis=1) == outcome.truth
            order = np.random.default_rng(seed).permutation(len(scores))
            for size in SIZES:
                rows = order[:size]
                for rule_name, rule in every.items():
                    threshold = rule(scores[rows], correct[rows], scores)
                    accepted = scores >= (np.inf if threshold is None else np.float32(threshold))
                    too_many = bool(accepted.any() and (~correct[accepted]).mean() > TARGET)
                    coverages.setdefault((name, size), {}).setdefault(rule_name, []).append(accepted.mean())
                    wrong.setdefault((name, rule_name), []).append(too_many)
        print(name, {rule: round(np.mean(wrong[name, rule]), 4) for rule in every}, flush=True)
    for name, _ in names:
        add_validity(report, name, wrong, arguments.heads * SAMPLES)
    add_power(report, [name for name, _ in names], coverages, list(every), arguments.heads * SAMPLES)


def add_validity(report: Report, name: str, wrong: dict[tuple[str, str], list[bool]], draws: int) -> None:
    per_size = np.reshape(wrong[name, "ours"], (draws, len(SIZES))).mean(axis=0)
    slack = binom.ppf(0.99, draws, 1 - CONFIDENCE) / draws
    others = {rule: float(np.mean(values)) for (of, rule), values in wrong.items() if of == name}
    report.add(
        f"certificates that are wrong, {name}",
        f"share of {draws} draws, the worst of {SIZES} labels; the bar is 5 % and chance (99 %)",
        float(per_size.max()),
        f"<= {slack:.4f}",
        result=" ".join(f"{size}: {share:.3f}" for size, share in zip(SIZES, per_size, strict=True)),
        peer="; ".join(f"{rule}: {share:.3f}" for rule, share in others.items() if "ours" not in rule),
        shares=others,
    )


def add_power(
    report: Report,
    names: list[str],
    coverages: dict[tuple[str, int], dict[str, list[float]]],
    every: list[str],
    draws: int,
) -> None:
    for size in SIZES:
        by_rule = {
            rule: float(np.mean([np.mean(coverages[name, size][rule]) for name in names])) for rule in every
        }
        best = max((rule for rule in every if "ours" not in rule), key=lambda rule: by_rule[rule])
        report.add(
            f"accepted share, {size} labels",
            f"mean of {draws} draws and {len(names)} sets, target 5 %, confidence 95 %",
            by_rule["ours"],
            f">= {by_rule[best]:.4f}",
            peer=f"{best}: {by_rule[best]:.4f}",
            ratio=f"{by_rule['ours'] - by_rule[best]:+.4f}",
            rules=by_rule,
            sets={name: {r: float(np.mean(v)) for r, v in coverages[name, size].items()} for name in names},
        )


def worst_case(report: Report) -> None:
    """Scores without meaning, errors just above the target at every threshold."""
    rng = np.random.default_rng(0)
    slack = binom.ppf(0.99, WORST_RUNS, 1 - CONFIDENCE) / WORST_RUNS
    for size in (60, 200, 1000):
        wrong = 0
        for _ in range(WORST_RUNS):
            scores, correct = rng.random(size), rng.random(size) >= WORST
            found = certify(scores, correct, target_error=TARGET, confidence=CONFIDENCE)
            wrong += found.threshold is not None
        report.add(
            f"certificates that are wrong, worst case, {size} labels",
            f"share of {WORST_RUNS} runs with {WORST:.2%} errors at every threshold",
            wrong / WORST_RUNS,
            f"<= {slack:.4f}",
        )


def audits(report: Report) -> None:
    """Audits that stop at the first success."""
    rng = np.random.default_rng(1)
    slack = binom.ppf(0.99, WORST_RUNS, 1 - CONFIDENCE) / WORST_RUNS
    for pool in (None, 1000):
        reached = 0
        for _ in range(WORST_RUNS):
            if pool is None:
                correct = rng.random(1000) >= WORST
            else:
                correct = np.ones(pool, bool)
                correct[rng.permutation(pool)[: int(TARGET * pool) + 1]] = False
                correct = correct[:900]
            reached += SequentialAudit(TARGET, CONFIDENCE, pool).update(correct).reached
        report.add(
            f"sequential audits that are wrong, {'large pool' if pool is None else f'pool of {pool:,}'}",
            f"share of {WORST_RUNS} audits that ever succeed with errors just above the target",
            reached / WORST_RUNS,
            f"<= {slack:.4f}",
        )
    wrong = 0
    for run in range(WORST_RUNS):
        scores, correct = rng.random(2000), np.ones(2000, bool)
        correct[rng.permutation(2000)[:110]] = False
        order = draw_audit(2000, 600, run)
        found = certify_audited(scores, correct[order], order, target_error=TARGET, confidence=CONFIDENCE)
        if found.threshold is not None:
            wrong += bool((~correct[found.accepts(scores)]).mean() > TARGET)
    report.add(
        "audited certificates that are wrong",
        f"share of {WORST_RUNS} audits of 600 in 2,000 labels, 5.5 % wrong at every threshold",
        wrong / WORST_RUNS,
        f"<= {slack:.4f}",
    )
    for target, fewest in ((0.05, 59), (0.01, 299)):
        needed = SequentialAudit(target, CONFIDENCE).expected_more() or 0
        report.add(
            f"audit without an error, target {target:.0%}",
            "answers until it succeeds",
            needed,
            f"<= {int(1.1 * fewest)}",
            peer=f"exact binomial minimum, its size fixed beforehand: {fewest}",
            ratio=f"{needed / fewest:.3f}",
        )


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--heads", type=int, default=50)
    arguments = parser.parse_args()
    report = Report("trust_validity", arguments)
    worst_case(report)
    audits(report)
    measure(arguments, report)
    report.save()


if __name__ == "__main__":
    main()
