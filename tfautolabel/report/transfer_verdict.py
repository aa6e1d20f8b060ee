"""Says whether transfer helped, compared with a baseline without a pretrained model on the same examples."""

from __future__ import annotations

from typing import Any

LEVEL = 0.05
"""A difference is more than chance if McNemar's exact two-sided test gives at most this p-value."""


def transfer_verdict(baseline: dict[str, Any] | None) -> str | None:
    """Returns one sentence that compares the run with the probe, or with the commonest class if no probe.

    Args:
        baseline: the entry of `run.json` about the baselines; None if it has none.

    Returns:
        The sentence without a full stop; None if there is no baseline.

    Examples:
        >>> probe = {"name": "TF-IDF", "examples": 30, "p_value": 0.0156}
        >>> transfer_verdict({"probe": probe | {"only_run_right": 7, "only_other_right": 0}})[:45]
        'yes: 23.3 points more than TF-IDF (of 30 exam'
    """
    found = (baseline or {}).get("probe") or (baseline or {}).get("majority")
    if not isinstance(found, dict) or "p_value" not in found:
        return None
    ours, theirs, name = found["only_run_right"], found["only_other_right"], found["name"]
    points = 100.0 * (ours - theirs) / found["examples"]
    answer = "it cannot be told from these labels"
    if found["p_value"] <= LEVEL:
        answer = "yes" if points > 0 else "no"
    said = (
        f"{answer}: {abs(points):.1f} points {'more' if points >= 0 else 'less'} than {name} (of "
        f"{found['examples']:,} examples {ours:,} right where it is wrong, {theirs:,} the other way; "
        f"p = {found['p_value']:.2g})"
    )
    return f"{said}; another backbone may suit these data better" if answer == "no" else said
