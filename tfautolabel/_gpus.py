"""The GPUs that TensorFlow sees, and why it sees none."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")


@functools.cache
def visible_gpus() -> tuple[str, ...]:
    """Returns the names of the GPUs that TensorFlow sees, such as "/GPU:0".

    The first call makes TensorFlow take a GPU's memory as it needs it, where it would take nearly all of it
    at once. This has an effect only before the first operation, so whatever makes a network calls this first.
    """
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    for gpu in found:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):  # a user's own code has set it up already
            continue
    return tuple(f"/GPU:{number}" for number in range(len(found)))


def why_none_visible() -> str:
    """Returns why TensorFlow sees no GPU, and what to do about it."""
    import tensorflow as tf

    cuda_build = bool(tf.sysconfig.get_build_info().get("is_cuda_build", False))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return why_no_gpu(platform.system(), cuda_build, DRIVER.exists(), visible)


def why_no_gpu(system: str, cuda_build: bool, driver: bool, visible: str | None) -> str:
    """Returns why TensorFlow sees no GPU, and what to do about it.

    Args:
        system: the name of the operating system, as `platform.system` gives it.
        cuda_build: whether this TensorFlow is made for CUDA.
        driver: whether a driver for NVIDIA's GPUs is loaded.
        visible: the value of CUDA_VISIBLE_DEVICES.
    """
    if system != "Linux":
        return f"TensorFlow's packages for {system} use no GPU"
    if not driver:
        return "no NVIDIA driver is loaded, so there is no GPU that TensorFlow could use"
    if visible is not None and visible.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides all GPUs: unset it"
    if not cuda_build:
        return 'this TensorFlow is made without CUDA: pip install "tensorflow[and-cuda]"'
    return (
        "a driver is there, but TensorFlow cannot load CUDA's libraries: "
        'pip install "tensorflow[and-cuda]"; '
        "TFAUTOLABEL_DEBUG=1 shows TensorFlow's own messages"
    )
