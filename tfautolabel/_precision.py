"""The devices and precisions that one may ask for; known before TensorFlow is loaded."""

from __future__ import annotations

AUTO = "auto"
FLOAT32, BF16, FLOAT16 = "float32", "bf16", "float16"
DEVICES = (AUTO, "cpu", "gpu")
PRECISIONS = (AUTO, FLOAT32, BF16, FLOAT16)

_HAS = {"cpu": (AUTO, FLOAT32, BF16), "gpu": (AUTO, FLOAT32, FLOAT16)}
_INSTEAD = {"cpu": "a CPU computes in float32, or in bf16", "gpu": "a GPU computes in float32 or in float16"}


def check_device_and_precision(device: str, precision: str) -> None:
    """Refuses values that are unknown or cannot hold together.

    Raises:
        ValueError: If they are.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}. Received: device={device!r}")
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received: precision={precision!r}"
        )
    if device != AUTO and precision not in _HAS[device]:
        raise ValueError(f"{_INSTEAD[device]}. Received: device={device!r}, precision={precision!r}")
