"""Files and frames with one row for each example; they keep references to rows, not all contents."""

from tfautolabel.data.tables.load import load_table

__all__ = ["load_table"]
