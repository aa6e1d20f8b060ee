"""Where fetched files are kept, and whether fetching is allowed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_YES = ("1", "true", "yes", "on")
_NO = ("", "0", "false", "no", "off")


def cache_dir() -> Path:
    """Returns the folder for fetched weights and extracted features; does not create it.

    `TFAUTOLABEL_CACHE` decides; else `XDG_CACHE_HOME/tfautolabel`; else the platform's cache folder, which is
    `~/.cache/tfautolabel` on Linux. Deleting the folder costs nothing but the time to fill it again.

    Returns:
        An absolute path.

    Examples:
        >>> import os
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, {"TFAUTOLABEL_CACHE": "/scratch/tal"}):
        ...     cache_dir().as_posix()
        '/scratch/tal'
    """
    chosen = os.environ.get("TFAUTOLABEL_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path in this variable must be ignored.
    if os.path.isabs(xdg):
        return Path(xdg) / "tfautolabel"
    return _platform_cache_home() / "tfautolabel"


def _platform_cache_home() -> Path:
    """Returns the operating system's folder for files that programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".cache"


def offline() -> bool:
    """Returns whether `TFAUTOLABEL_OFFLINE` forbids all downloads.

    Returns:
        True for 1, true, yes or on; False for 0, false, no, off, or when the variable is not set.

    Raises:
        ValueError: If the variable holds anything else.
    """
    received = os.environ.get("TFAUTOLABEL_OFFLINE", "")
    setting = received.strip().lower()
    if setting not in _YES + _NO:
        raise ValueError(f"TFAUTOLABEL_OFFLINE must be 1 or 0. Received: TFAUTOLABEL_OFFLINE={received!r}")
    return setting in _YES
