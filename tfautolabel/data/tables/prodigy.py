"""Reads the answers of Prodigy: people accept, reject or ignore the label that they are shown.

The format: https://prodi.gy/docs/api-interfaces.
"""

from __future__ import annotations

from typing import Any

from tfautolabel.data.tables.label_studio import one_or_list

ANSWERS = ("accept", "reject", "ignore")
NOTE = "a label counts where its answer is 'accept', as Prodigy writes it; the other rows have no label"


def is_answered(row: dict[str, Any]) -> bool:
    """Returns whether a row holds an answer about a label, or chosen options."""
    return row.get("answer") in ANSWERS and ("label" in row or isinstance(row.get("accept"), list))


def with_answer(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with the label that a person accepted, or None if nobody did.

    Examples:
        >>> with_answer({"text": "Hello", "label": "spam", "answer": "reject"})["label"]
    """
    if not is_answered(row):
        return row
    label = one_or_list(row["accept"]) if isinstance(row.get("accept"), list) else row["label"]
    return {**row, "label": label if row["answer"] == "accept" else None}
