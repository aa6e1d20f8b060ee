"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str | float | None) -> float | None:
    """Converts a time budget to seconds.

    Args:
        budget: seconds, or a number followed by s, m or h, or several of these; None for no limit.

    Raises:
        ValueError: If the budget has another form or is not positive.

    Examples:
        >>> seconds_of("10m"), seconds_of("1h30m"), seconds_of(90)
        (600.0, 5400.0, 90.0)
    """
    if budget is None:
        return None
    text = str(budget).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not seconds > 0:
        raise ValueError(
            f"a time budget is a number of seconds, or as 90s, 10m or 1h30m. Received: {budget!r}"
        )
    return seconds
