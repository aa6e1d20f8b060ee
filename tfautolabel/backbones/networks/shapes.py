"""What a layer is told of a tensor before there is one."""

Shape = tuple[int | None, ...]
"""The length of each axis; None where it is open."""
