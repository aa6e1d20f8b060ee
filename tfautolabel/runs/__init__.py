"""A run's folder: the names of its files, the code that reads and writes them, and a run's settings."""

from __future__ import annotations

from tfautolabel.runs.settings import RunSettings

__all__ = ["RunSettings"]
