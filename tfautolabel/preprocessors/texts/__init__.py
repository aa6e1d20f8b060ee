"""Converts texts to token ids, inside the graph."""
