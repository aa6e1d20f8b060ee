"""Converts exported models to ONNX files, for ONNX Runtime and other readers (https://onnx.ai)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel.data import Dataset
from tfautolabel.export.conversion import Converted, check_examples, compare, converter_error, write_converted
from tfautolabel.export.numeric import OUTPUT, NumericModel, add_constant, quiet_converters

OPSET = 17
"""The operations of ONNX 1.12 (2022), which all current runtimes support."""


def export_onnx(
    model: str | os.PathLike[str],
    file: str | os.PathLike[str],
    examples: Dataset | None = None,
    *,
    progress: bool = True,
) -> Converted:
    """Writes backbone and head to an ONNX file, and keeps it only if ONNX Runtime gives the same labels.

    The file takes any number of rows. It takes any number of tokens or samples if the network does.

    Args:
        model: an exported model's folder.
        file: the file to write. FILE.json next to it describes the inputs.
        examples: real examples for the comparison, labelled or not. By default the few that were recorded
            with the model.
        progress: whether to show a progress bar if standard error is a terminal.

    Returns:
        The written files, with sizes, times and agreement.

    Raises:
        FileNotFoundError: If there is no exported model.
        MissingExtraError: If tf2onnx or ONNX Runtime is not installed.
        DifferentLabels: If too few labels agree. Then nothing is written.
        RuntimeError: If the network cannot be converted.
        ValueError: If the examples do not fit.
    """
    runtime = require("onnxruntime", extra="onnx")
    require("tf2onnx", extra="onnx")
    numeric = NumericModel(model)
    examples = check_examples(numeric, examples)
    content, run = _convert(numeric, runtime)
    parity = compare(numeric, run, examples, progress=progress)
    details = {
        "format": "onnx",
        "file": Path(file).name,
        "opset": OPSET,
        "inputs": numeric.describe(None, None),
    }
    return write_converted(file, content, numeric, details, parity=parity, weights="float32")


class Run:
    """An ONNX file in ONNX Runtime, on the CPU.

    Args:
        runtime: the module onnxruntime.
        content: the file's bytes.
    """

    def __init__(self, runtime: Any, content: bytes) -> None:
        self._session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._names = [given.name for given in self._session.get_inputs()]

    def __call__(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Maps inputs of (w, ...) each to (w, k) probabilities."""
        return np.asarray(self._session.run([OUTPUT], dict(zip(self._names, inputs, strict=True)))[0])


def _convert(numeric: NumericModel, runtime: object) -> tuple[bytes, Run]:
    """Returns the file's bytes, and a `Run` of the file."""
    convert = require("tf2onnx.convert", extra="onnx")
    function = numeric.frozen(None, None)
    definition = function.graph.as_graph_def()
    _spell_out_erfc(definition)
    inputs = [tensor.name for tensor in function.inputs]
    names = [str(spec.name) for spec in numeric.specs]
    result = function.outputs[0].name
    try:
        with quiet_converters():
            made, _ = convert.from_graph_def(
                definition,
                name="labeler",
                input_names=inputs,
                output_names=[result],
                opset=OPSET,
                tensors_to_rename=dict(zip([*inputs, result], [*names, OUTPUT], strict=True)),
            )
        _name_dimensions(made, names, [len(spec.shape) for spec in numeric.specs])
        content = made.SerializeToString()
        return content, Run(runtime, content)
    except Exception as error:
        raise RuntimeError(
            f"the network of {numeric.handle} cannot be converted to ONNX, which lacks operations or loops "
            f"of it. Received: {converter_error(error)}"
        ) from error


def _spell_out_erfc(definition: Any) -> None:
    """Replaces the complementary error function in the exact GELU, because ONNX only has Erf."""
    for node in [node for node in definition.node if node.op == "Erfc"]:
        kind = node.attr["T"]
        one = add_constant(definition, f"{node.name}/one", 1.0, tf.as_dtype(kind.type))
        erf = definition.node.add(op="Erf", name=f"{node.name}/erf", input=list(node.input))
        erf.attr["T"].CopyFrom(kind)
        node.op = "Sub"
        node.input[:] = [one, erf.name]


def _name_dimensions(made: Any, names: Sequence[str], ranks: Sequence[int]) -> None:
    """Gives unknown dimensions meaningful names, and puts the inputs in order."""
    given = {value.name: value for value in made.graph.input}
    ordered = [given[name] for name in names if name in given]
    if len(ordered) < len(names):
        raise ValueError(f"an input has no effect. Received: {sorted(set(names) - set(given))}")
    del made.graph.input[:]
    made.graph.input.extend(ordered)
    for value, rank in zip([*made.graph.input, *made.graph.output], [*ranks, 2], strict=True):
        for position, dimension in enumerate(value.type.tensor_type.shape.dim[:rank]):
            if not dimension.dim_value:
                dimension.dim_param = "batch" if position == 0 else "length"
