"""Rows of length one, as features are after normalisation; the tests' own, beside what they test."""

import numpy as np


def unit(rows):
    """Each row of (n, d) divided by its length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
