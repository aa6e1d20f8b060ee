"""Traces parts of a graph that all models share only once in a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(*signature: tf.TensorSpec) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function of tensors a separate function inside the graphs that call it.

    Tracing takes most of the time to make a small model. Runtimes do not inline such a function into the
    calling graph. So a part that a batch does not need costs no run time, such as four of the five picture
    formats.

    Args:
        *signature: a `tf.TensorSpec` for each argument.

    Examples:
        >>> @traced_once(tf.TensorSpec([], tf.int32))
        ... def twice(number):
        ...     return 2 * number
        >>> int(twice(4))
        8
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        traced: Callable[..., Any] = tf.function(
            function,
            input_signature=signature,
            autograph=False,
            experimental_attributes={"_noinline": True},
        )
        return traced

    return decorate
