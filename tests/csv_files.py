"""Rows in CSV files, written and read as people's tools do."""

import csv


def write_rows(path, rows):
    """Writes rows of (column to text), all with the columns of the first; returns the path."""
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path):
    """The rows of (column to text)."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
