"""Reads the tasks of a Label Studio export: what they ask about, and the answer that counts.

Of a task's annotations the latest one counts that was not cancelled; people skip a task by cancelling. The
format: https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tfautolabel.data.label_texts import SHOWN

OWN_ID, OWN_UNCERTAINTY = "tal_id", "tal_uncertainty"
"""Entries of a task's data that `tfautolabel export-tasks` writes: the example's id, and 1 - confidence."""

TASK_ID = "task_id"
"""The column of Label Studio's own numbers."""


def is_task(item: Mapping[str, Any]) -> bool:
    """Returns whether an object is a task."""
    return isinstance(item.get("data"), dict) and any(
        isinstance(item.get(key), list) for key in ("annotations", "completions", "predictions")
    )


def drops_skipped(columns: Iterable[str]) -> bool:
    """Returns whether a table is a flat export (JSON_MIN, CSV), which lacks the tasks that people skipped."""
    return {"annotator", "lead_time"} <= set(columns)


FLAT_NOTE = (
    "this is a flat export of Label Studio (JSON_MIN or CSV), which lacks the tasks that people skipped and "
    "does not show answers that differ; its format JSON has all"
)


class Tasks:
    """Turns tasks into rows, and counts what the rows do not show."""

    def __init__(self) -> None:
        self._count = self._skipped = self._differ = 0
        self._shown: list[str] = []

    def row(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the data of a task, its name, and its label, which is None if nobody gave one.

        The name is the id that `tfautolabel export-tasks` gave it, else the task's number.
        """
        data = task["data"]
        row = {key: value for key, value in data.items() if key not in ("label", "id", OWN_UNCERTAINTY)}
        own = data.get(OWN_ID)
        given = [one for one in task.get("annotations") or task.get("completions") or [] if _is_dict(one)]
        valid = [one for one in given if not (one.get("was_cancelled") or one.get("skipped"))]
        answers = [one_or_list(_choices(one)) for one in sorted(valid, key=_time)]
        name = task.get("id") if own is None else own
        self._count += 1
        self._skipped += bool(given) and not valid
        if any(answer != answers[-1] for answer in answers):
            self._differ += 1
            if len(self._shown) < SHOWN:
                self._shown.append(repr(name))
        # Numbers of tasks must not be taken for the ids of a user's rows.
        key = TASK_ID if own is None else "id"
        return {key: name, **row, "label": answers[-1] if answers else None}

    def notes(self, name: str) -> tuple[str, ...]:
        """Returns sentences that say what the rows do not show.

        Args:
            name: the file.
        """
        notes = []
        if self._skipped:
            notes.append(f"{name}: people skipped {self._skipped:,} of {self._count:,} tasks: no label")
        if self._differ:
            notes.append(
                f"{name}: {self._differ:,} of {self._count:,} tasks have answers that differ; the latest "
                f"one counts: {', '.join(self._shown)}"
            )
        return tuple(notes)


def one_or_list(values: Iterable[Any]) -> Any:
    """Returns the only value, None for none, else the list: several labels are refused later."""
    distinct = list(
        dict.fromkeys(value if isinstance(value, (str, int, float)) else str(value) for value in values)
    )
    return distinct[0] if len(distinct) == 1 else distinct or None


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _time(annotation: Mapping[str, Any]) -> tuple[str, float]:
    """Returns when an annotation got its present form; both forms of a time sort as text within one file."""
    when = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return str(when or ""), number if isinstance(number, (int, float)) else 0.0


def _choices(annotation: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    results = annotation.get("result")
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict):
            choices = value.get("choices")
            found += choices if isinstance(choices, list) else [choices] if choices is not None else []
    return found
