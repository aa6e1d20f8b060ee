"""Decodes sound to samples at one rate, inside the graph."""
