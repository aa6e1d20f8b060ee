"""Draws the figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from tfautolabel.measures import accuracy_interval
from tfautolabel.report.svg import INK, LINE, PAPER, colour, draw

SHAPES = ("o", "s", "^")
"""Three shapes with eight colours tell 24 classes apart; neighbours differ in shape and colour."""

SHOWN_CLASSES = 20
"""With more classes than this, only the commonest are told apart; the others look alike."""

_ALL_BUT_LAST = SHOWN_CLASSES - 1


def reliability_plot(table: np.ndarray) -> Markup:
    """Plots accuracy against confidence.

    Args:
        table: (b, 3), the mean confidence, the accuracy and the count of each bin.
    """

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1, alpha=0.6)
        axes.text(0.03, 0.09, "kept = promised", fontsize=9)
        bounds = [accuracy_interval(round(right * count), int(count)) for _, right, count in table]
        axes.vlines(table[:, 0], *np.array(bounds).T, color=colour(0), linewidth=1.6, alpha=0.7)
        axes.scatter(table[:, 0], table[:, 1], 60, color=colour(0), edgecolor=PAPER, zorder=3)
        axes.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="confidence promised", ylabel="share that is right"
        )

    gap = float((np.abs(table[:, 0] - table[:, 1]) * table[:, 2]).sum() / table[:, 2].sum())
    return draw("reliability", f"Reliability diagram; confidence is off by {gap:.1%} on average", paint)


def risk_coverage_plot(curve: np.ndarray, chosen: tuple[float, float] | None, target: float | None) -> Markup:
    """Plots the share of errors against the share of accepted labels.

    Args:
        curve: (n, 2), coverage and risk.
        chosen: coverage and risk at the threshold that was used.
        target: the target share of errors.
    """

    def paint(axes: Any) -> None:
        axes.plot(100 * curve[:, 0], 100 * curve[:, 1], color=colour(0), linewidth=2)
        top = max(100 * float(curve[:, 1].max()), 5.0, 120 * (target or 0.0))
        if target is not None:
            axes.axhline(100 * target, color=colour(1), linestyle="--", linewidth=1.4)
            axes.text(100, 100 * target + top * 0.015, "target", ha="right", va="bottom", fontsize=9)
        if chosen is not None:
            axes.plot(
                100 * chosen[0], 100 * chosen[1], "D", color=colour(1), markersize=9, markeredgecolor=PAPER,
                clip_on=False, zorder=4,
            )  # fmt: skip
            left = chosen[0] > 0.5
            axes.annotate(
                "threshold used", (100 * chosen[0], 100 * chosen[1]), (-10 if left else 10, 12),
                textcoords="offset points", ha="right" if left else "left", fontsize=10,
                bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )  # fmt: skip
        axes.set(
            xlim=(0, 102),
            ylim=(-top * 0.02, top * 1.08),
            xlabel="% of labels accepted",
            ylabel="% of them wrong",
        )

    said = (
        ""
        if chosen is None
        else f"; at the threshold used {chosen[0]:.1%} are accepted, {chosen[1]:.1%} wrong"
    )
    end = f"Risk-coverage curve; with all labels accepted {curve[-1, 1]:.1%} are wrong{said}"
    return draw("risk-coverage", end, paint)


def shown_classes(counts: np.ndarray) -> list[int]:
    """Returns the classes that a figure tells apart: all, or the commonest if there are too many, in order.

    Args:
        counts: (k,) how often each class occurs.
    """
    if len(counts) <= SHOWN_CLASSES:
        return list(range(len(counts)))
    return sorted(np.argsort(-counts, kind="stable")[:_ALL_BUT_LAST].tolist())


def map_plot(points: np.ndarray, class_ids: np.ndarray, given: np.ndarray, classes: Sequence[str]) -> Markup:
    """Plots examples on a plane, where similar examples are near each other.

    Args:
        points: (p, 2).
        class_ids: (p,) int64, given or predicted.
        given: (p,) bool, whether the label was given.
        classes: k names.
    """
    shown = shown_classes(np.bincount(class_ids, minlength=len(classes)))

    def paint(axes: Any) -> None:
        rest = ~np.isin(class_ids, shown)
        for wanted, size, alpha in ((~given, 13, 0.55), (given, 46, 1.0)):
            edge = {"edgecolor": INK, "linewidth": 1.0} if size > 13 else {"linewidth": 0}
            axes.scatter(*points[rest & wanted].T, size, color=LINE, marker="o", alpha=alpha, **edge)
            for number, class_id in enumerate(shown):
                rows = wanted & (class_ids == class_id)
                mark = SHAPES[number % len(SHAPES)]
                axes.scatter(*points[rows].T, size, color=colour(number), marker=mark, alpha=alpha, **edge)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.margins(0.03)
        for spine in axes.spines.values():
            spine.set_visible(False)

    said = f"Map of {len(points):,} examples in {len(classes)} classes; near means alike to the backbone"
    return draw("map", said, paint, 7.2, 5.0)


def halves(curve: np.ndarray) -> tuple[float, float] | None:
    """Returns the share of errors among the surer half and among all labels; None without a curve.

    Args:
        curve: (n, 2) coverage and risk, from `risk_coverage_curve`.
    """
    if not len(curve):
        return None
    # A thinned curve may have no point at exactly one half.
    half = curve[min(int(np.searchsorted(curve[:, 0], 0.5)), len(curve) - 1)]
    return float(half[1]), float(curve[-1, 1])
