"""TensorFlow does not work after a fork: its threads stay in the parent, and the child waits forever."""

from __future__ import annotations

import os

from tfautolabel._tensorflow_internals import has_begun

_state = {"forked": False}


def refuse_after_fork() -> None:
    """Refuses to start work that would hang after a fork.

    Raises:
        RuntimeError: If this process was forked from one in which TensorFlow had already started.
    """
    if _state["forked"]:
        raise RuntimeError(
            "TensorFlow does not work in a process that was forked after it was used: start the process with "
            "multiprocessing.get_context('spawn'), or use TensorFlow only after the fork"
        )


def _in_child() -> None:
    _state["forked"] = _state["forked"] or has_begun()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
