"""SavedModels: encoded inputs in, labels out, everything in the graph, nothing but TensorFlow to run them.

`saved_model` writes and checks them; `exported` labels with them; `standalone_check` is the script that opens
one in a process of its own.
"""

from tfautolabel.export.exported import ExportedLabeler, load_labeler
from tfautolabel.export.parity import CheckFailure, check_saved_model
from tfautolabel.export.saved_model import export_saved_model, rewrite_acceptance

__all__ = [
    "CheckFailure",
    "ExportedLabeler",
    "check_saved_model",
    "export_saved_model",
    "load_labeler",
    "rewrite_acceptance",
]
