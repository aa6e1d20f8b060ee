"""Parts of a graph that are the same in every model: traced once in a process, entered only where needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(*signature: tf.TensorSpec) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function of tensors one function of the graphs that it becomes a part of.

    Tracing takes most of the time that making a small model takes. Runtimes do not paste such a function
    into the graph that calls it, so what a batch does not need costs no time when the batch is run either:
    of five picture formats, four.

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
