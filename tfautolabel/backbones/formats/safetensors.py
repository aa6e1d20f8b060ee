"""Reads a safetensors file: a length, a JSON header, raw tensors (https://github.com/huggingface/safetensors)."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
MAX_HEADER = 100 * 1024 * 1024
"""The format's own limit."""


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a file by name, as read-only views of its memory-mapped bytes.

    NumPy has no bfloat16, so such tensors are widened to float32.

    Args:
        path: the file, which must not change while the tensors are in use.

    Raises:
        ValueError: If it is not a safetensors file, or holds a type that NumPy does not have.
    """
    with Path(path).open("rb") as file:
        # An empty file cannot be mapped.
        is_empty = not file.read(1)
        data = b"" if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return dict(_tensors(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a safetensors file that can be read: {error}") from error


def _tensors(data: bytes | mmap.mmap) -> Iterator[tuple[str, np.ndarray]]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER, len(data) - 8):
        raise ValueError("it is cut off")
    body = memoryview(data)[8 + length :]
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        if tensor["dtype"] not in DTYPES:
            raise ValueError(f"tensor {name!r} has the type {tensor['dtype']!r}; valid are {list(DTYPES)}")
        start, end = tensor["data_offsets"]
        dtype, shape = np.dtype(DTYPES[tensor["dtype"]]), tuple(tensor["shape"])
        if not 0 <= start <= end <= len(body) or end - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name!r} does not lie in the file as described")
        value = np.frombuffer(body[start:end], dtype).reshape(shape)
        if tensor["dtype"] == "BF16":
            # The 16 bits of a bfloat16 are the upper half of a float32.
            value = (value.astype(np.uint32) << 16).view(np.float32)
        yield name, value
