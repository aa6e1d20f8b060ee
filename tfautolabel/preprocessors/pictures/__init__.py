"""Decodes pictures to pixels of one size, inside the graph."""
