"""Files and frames that hold a row for each example: references to the rows, never all their contents."""

from tfautolabel.data.tables.load import load_table

__all__ = ["load_table"]
