"""Works while a person answers: learns when enough was answered, and labels the whole pool at the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from tfautolabel.review.session import Review

_log = logging.getLogger("tfautolabel.review")


class Background:
    """One thread that learns, and one that labels.

    Args:
        review: the session.
        finish: labels the whole pool ("teach", "unsure"), writes corrected labels ("check") or certifies
            ("audit"); gets the mode and returns a sentence about the result.

    Attributes:
        state: of labelling: "none", "running", "done" or "failed".
        sentence: the result, or why it failed.
        report: whether there is a report to open.
    """

    def __init__(self, review: Review, finish: Callable[[str], str]) -> None:
        self._review, self._finish = review, finish
        self.state, self.sentence, self.report = "none", "", False
        self._due, self._ends = threading.Event(), False
        self._learning = threading.Thread(target=self._learn, name="learning", daemon=True)
        self._labelling: threading.Thread | None = None
        self._refitting = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts to learn."""
        self._learning.start()

    def wake(self) -> None:
        """Says that something was answered."""
        self._due.set()

    def stop(self) -> None:
        """Ends learning; what runs is not waited for, since every answer is on disk."""
        self._ends = True
        self._due.set()

    def finish(self, mode: str) -> None:
        """Begins to label or to certify, unless that runs already."""
        with self._lock:
            if self.state == "running":
                return
            self.state, self.sentence = "running", "The labels are being made."
            self._labelling = threading.Thread(
                target=self._label, args=(mode,), name="labelling", daemon=True
            )
            self._labelling.start()

    def to_dict(self) -> dict[str, Any]:
        """What a page shows of it."""
        return {
            "refitting": self._refitting,
            "finish": {
                "state": self.state,
                "sentence": self.sentence,
                "report": "/report" if self.report else None,
            },
        }

    def _learn(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._ends:
                return
            try:
                if self._review.is_due:
                    self._refitting = True
                    self._review.refit()
            except Exception as error:
                # The person goes on; what was answered is safe, and the next answers try again.
                _log.exception("the head could not learn")
                self._review.problem = f"The model could not learn from the last answers ({error})."
            finally:
                self._refitting = False

    def _label(self, mode: str) -> None:
        try:
            self.sentence = self._finish(mode)
            self.state, self.report = "done", mode != "check"
        except Exception as error:
            _log.exception("labelling failed")
            self.state, self.sentence = "failed", str(error)
