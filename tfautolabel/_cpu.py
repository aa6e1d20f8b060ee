"""What the CPU can compute in."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Linux's names for instructions on bf16, the last one on Arm."""


@functools.cache
def cpu_flags() -> frozenset[str]:
    """Returns the instruction sets of the CPU by Linux's names; empty where they are not known."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = (line.partition(":") for line in lines)
    return frozenset(next((words.split() for name, _, words in named if name.split()[:1] in _NAMES), []))


_NAMES = (["flags"], ["Features"])


def why_no_bf16(system: str, flags: frozenset[str]) -> str:
    """Returns why bf16 is not faster than float32 on this CPU, or "" if it is.

    Args:
        system: the name of the operating system, as `platform.system` gives it.
        flags: as of `cpu_flags`.
    """
    if not flags:
        return f"{system} does not say which instructions this CPU has"
    if flags.isdisjoint(BF16_FLAGS):
        return "this CPU has neither avx512_bf16 nor AMX, so that bf16 is slower than float32 on it"
    return ""


def why_bf16_is_slow() -> str:
    """Returns `why_no_bf16` of this machine."""
    return why_no_bf16(platform.system(), cpu_flags())
