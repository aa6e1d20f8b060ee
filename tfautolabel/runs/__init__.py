"""A run's folder: what its files are called, who reads and writes each, and the settings that made them."""

from __future__ import annotations

from tfautolabel.runs.settings import RunSettings

__all__ = ["RunSettings"]
