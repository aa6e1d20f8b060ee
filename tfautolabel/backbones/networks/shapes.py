"""The type of a symbolic tensor's shape, as layers get it."""

Shape = tuple[int | None, ...]
"""The length of each axis; None if it is unknown."""
