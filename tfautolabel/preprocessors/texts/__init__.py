"""Texts to the numbers of their tokens, inside the graph."""
