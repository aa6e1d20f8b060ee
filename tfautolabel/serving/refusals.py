"""The reasons to refuse a request, with TensorFlow Serving's status codes."""

from __future__ import annotations

import re

import tensorflow as tf

_MAX_MESSAGE = 500
_SAYS_NOTHING = ("Graph execution error", "Detected at", "<stack traces unavailable>")


class Refusal(Exception):  # noqa: N818
    """A request that cannot be answered.

    Args:
        status: the HTTP status code.
        message: the sentence for {"error": …}.
        headers: further headers.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


_CODES = (
    ((tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError, tf.errors.OutOfRangeError), 400),
    ((tf.errors.NotFoundError,), 404),
    ((tf.errors.ResourceExhaustedError,), 429),
    # TensorFlow's Python code raises these for inputs that do not fit the signature.
    ((ValueError, TypeError), 400),
)


def refusal_of(error: Exception) -> Refusal:
    """Returns the refusal for a failed call: a client error if TensorFlow says so, else 500."""
    if isinstance(error, Refusal):
        return error
    for kinds, status in _CODES:
        if isinstance(error, kinds):
            return Refusal(status, first_sentence(error))
    return Refusal(500, f"the model failed ({type(error).__name__}: {first_sentence(error)})")


def first_sentence(error: Exception) -> str:
    """Returns the first line of a message that is useful; TensorFlow's messages have many lines."""
    lines = [line.strip() for line in str(getattr(error, "message", None) or error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_SAYS_NOTHING)]
    return re.sub(r" \[Op:\w+\].*", "", (said or [type(error).__name__])[0])[:_MAX_MESSAGE]
