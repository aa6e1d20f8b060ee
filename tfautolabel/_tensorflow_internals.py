"""All undocumented parts of TensorFlow that this package uses; each has a test.

If a new version breaks one of them, the test with its name in `tests/test_tensorflow_internals.py` fails.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def memory_of(variable: object) -> np.ndarray | None:
    """Returns a view of the memory with a variable's current value; None if this needs a copy.

    TensorFlow writes into memory only if nobody else holds it. So the view's numbers stay the same while it
    exists, and a variable with a new value lies elsewhere.
    """
    import tensorflow as tf

    tensor = tf.convert_to_tensor(variable)
    if "CPU" not in tensor.device:
        return None
    try:
        return np.asarray(memoryview(tensor))
    except ValueError:  # a type that NumPy does not have, such as bfloat16
        return None


def with_constants(function: object) -> Any:
    """Returns a concrete function with its variables replaced by their values."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)


def saved_model_message(content: bytes) -> Any:
    """Parses the protocol buffer in a file saved_model.pb.

    Raises:
        Exception: If the file is damaged; the type depends on protobuf.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString(content)
    return message


def has_begun() -> bool:
    """Returns whether TensorFlow has started its threads in this process, without importing it."""
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "context_safe", lambda: None)()
    return context is not None and getattr(context, "_context_handle", None) is not None
