"""Reads folders and label files into a `Dataset`, and writes `Labels` to files."""

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.learnt import Learnt
from tfautolabel.data.load import load_dataset
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.writers import LabelsWriter, write_labels, write_unreadable
from tfautolabel.labels import Unreadable

__all__ = [
    "Dataset",
    "LabelsWriter",
    "Learnt",
    "ReadFailure",
    "Unreadable",
    "load_dataset",
    "write_labels",
    "write_unreadable",
]
