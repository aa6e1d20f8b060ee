"""Exports SavedModels from encoded inputs to labels. The graph holds everything and needs only TensorFlow.

`saved_model` writes and checks them. `exported` labels with them. `standalone_check` is the script that opens
one in a separate process. `tflite` and `onnx` write the numeric part for other runtimes. `rule_graph` makes
rules a part of a graph.
"""

from tfautolabel.export.conversion import Converted, DifferentLabels, FormatParity
from tfautolabel.export.exported import ExportedLabeler, load_exported
from tfautolabel.export.onnx import export_onnx
from tfautolabel.export.parity import CheckFailure, check_saved_model
from tfautolabel.export.rules_in_graph import RuleGraph, rule_graph
from tfautolabel.export.saved_model import export_saved_model, rewrite_acceptance
from tfautolabel.export.tflite import export_tflite

__all__ = [
    "CheckFailure",
    "Converted",
    "DifferentLabels",
    "ExportedLabeler",
    "FormatParity",
    "RuleGraph",
    "check_saved_model",
    "export_onnx",
    "export_saved_model",
    "export_tflite",
    "load_exported",
    "rewrite_acceptance",
    "rule_graph",
]
