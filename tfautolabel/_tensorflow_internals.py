"""All that this package uses of TensorFlow and that TensorFlow does not promise; each has a test.

A new version that breaks one of them fails in `tests/test_tensorflow_internals.py`, by its name.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def memory_of(variable: object) -> np.ndarray | None:
    """A view of the memory in which a variable's value is now; None where it cannot be seen without a copy.

    TensorFlow writes into memory only while nobody else holds it: while the view lives, its numbers stay, and
    a variable that has got others lies elsewhere.
    """
    import tensorflow as tf

    tensor = tf.convert_to_tensor(variable)
    if "CPU" not in tensor.device:
        return None
    try:
        return np.asarray(memoryview(tensor))
    except ValueError:  # a type that NumPy has no name for, such as bfloat16
        return None


def with_constants(function: object) -> Any:
    """A concrete function with the values of its variables in place of the variables."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)


def saved_model_message(content: bytes) -> Any:
    """The protocol buffer that a file saved_model.pb holds.

    Raises:
        Exception: If it is damaged; which one depends on protobuf.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString(content)
    return message


def has_begun() -> bool:
    """Whether TensorFlow has started its threads in this process; it is not imported to find that out."""
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "context_safe", lambda: None)()
    return context is not None and getattr(context, "_context_handle", None) is not None
