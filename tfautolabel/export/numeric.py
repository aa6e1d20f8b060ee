"""The numeric part of an exported SavedModel, from tensors to probabilities, for formats without strings."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._tensorflow_internals import with_constants
from tfautolabel.export.exported import ExportedLabeler, load_exported

OUTPUT = "probabilities"
PADDING = {"int32": -1, "float32": 0}
"""The values after the last token or sample of a shorter window."""

SMALLEST = 1e-7
"""The lower bound of probabilities before the logarithm, for a network that gives no logits."""

_CONVERTERS = ("tensorflow", "absl", "tf2onnx")


@dataclass(frozen=True)
class Windows:
    """The network's inputs for some examples.

    Attributes:
        inputs: arrays of w rows each, one row per window.
        example: (w,) int64, the row of each window's example.
    """

    inputs: tuple[np.ndarray, ...]
    example: np.ndarray


class NumericModel:
    """Backbone, head and temperature of an exported model, without the string preprocessing.

    Args:
        folder: a version folder, or a model's folder, whose highest version is used.

    Attributes:
        labeler: the exported model.
        specs: the network's inputs, in order, with None for unknown sizes.

    Raises:
        FileNotFoundError: If there is no exported model.
        ValueError: If it has no numeric part.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.labeler: ExportedLabeler = load_exported(folder)
        module = self.labeler.module
        if self.labeler.description.get("labels_depend_on_votes"):
            raise ValueError(
                "the labels of this model depend on the votes of rules on the text, which a converted "
                f"network cannot have: run without --rules-in-model. Received: {self.labeler.folder}"
            )
        if not hasattr(module, "network"):
            made_with = self.labeler.description.get("made_with", {}).get("tfautolabel", "another version")
            raise ValueError(
                "a model is converted from its numeric inputs; one whose network takes strings has none, and "
                f"one of an earlier version must be exported again. Received: {self.labeler.folder}, made "
                f"with tfautolabel {made_with}"
            )
        self._network, self._prepare = module.network, module.prepare
        taken = self._network.concrete_functions[0].structured_input_signature[0]
        names = input_names(self.labeler.modality, taken)
        self.specs = tuple(
            tf.TensorSpec(spec.shape, spec.dtype, name) for spec, name in zip(taken, names, strict=True)
        )

    @property
    def handle(self) -> str:
        """Returns the string that selected the backbone."""
        return str(self.labeler.description["backbone"]["handle"])

    @property
    def open_lengths(self) -> bool:
        """Returns whether windows can have any number of tokens or samples."""
        return any(size is None for spec in self.specs for size in spec.shape[1:])

    @property
    def longest(self) -> int | None:
        """Returns the most tokens or samples in a window, if labeler.json states it."""
        known = self.labeler.description["preprocessor"]
        if "max_length" in known:
            return int(known["max_length"])
        if "window_seconds" in known and "sample_rate" in known:
            samples = int(known["window_seconds"] * known["sample_rate"])
            return max(samples, int(known.get("min_samples", 1)))
        return None

    def prepare(self, encoded: Sequence[bytes]) -> Windows:
        """Returns the windows of encoded examples. Unreadable examples have no windows."""
        ready = self._prepare(tf.constant(list(encoded), tf.string))
        example = ready.example.numpy()
        kept = ready.readable.numpy()[example]
        return Windows(tuple(tensor.numpy()[kept] for tensor in ready.inputs), example[kept])

    def predict(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Maps inputs of (w, ...) each to the (w, k) float32 probabilities of the SavedModel."""
        return np.asarray(self._network(*map(tf.constant, inputs))[OUTPUT].numpy())

    def frozen(
        self,
        batch: int | None,
        length: int | None,
        finish: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.types.experimental.ConcreteFunction:
        """Returns the network with all weights as constants, in one graph without functions.

        Args:
            batch: number of rows, or None for any number.
            length: tokens or samples in a row, or None for any number.
            finish: maps the (batch, k) logits to the result that replaces the probabilities. By default the
                network's own probabilities are used.

        Returns:
            A function of one graph from the named inputs to `probabilities`, (batch, k) float32.
        """
        specs = [
            tf.TensorSpec([batch, *(size or length for size in spec.shape[1:])], spec.dtype, spec.name)
            for spec in self.specs
        ]
        run = tf.function(lambda *inputs: self._network(*inputs)[OUTPUT], autograph=False)
        with quiet_converters():
            constant = with_constants(run.get_concrete_function(*specs))
        definition = constant.graph.as_graph_def()
        _spell_out(definition)
        names, result = [tensor.name for tensor in constant.inputs], constant.outputs[0].name
        logits = None if finish is None else _logits(definition, result)

        def imported(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            known = dict(zip(names, inputs, strict=True))
            (given,) = tf.graph_util.import_graph_def(definition, known, [logits or result], name="")
            given = tf.ensure_shape(given, [batch, len(self.labeler.classes)])
            if finish is not None:
                given = finish(given if logits else tf.math.log(tf.maximum(given, SMALLEST)))
            return {OUTPUT: given}

        return tf.function(imported, autograph=False).get_concrete_function(*specs)

    def describe(self, batch: int | None, length: int | None) -> list[dict[str, Any]]:
        """Returns name, type, shape, range and meaning of each input, ready for JSON."""
        known = self.labeler.description["preprocessor"]
        described = []
        for spec in self.specs:
            shape = [batch, *(size or length for size in spec.shape[1:])]
            described.append(
                {"name": spec.name, "dtype": spec.dtype.name, "shape": shape} | _meaning(spec, known)
            )
        return described


def padded(inputs: Sequence[np.ndarray], length: int | None) -> tuple[np.ndarray, ...]:
    """Pads or cuts arrays of (w, t) to `length` columns. Other arrays, and all if it is None, do not change.

    Args:
        inputs: arrays of w rows.
        length: number of columns. Only padding may be cut off.
    """
    if length is None:
        return tuple(inputs)
    return tuple(
        array
        if array.ndim != 2
        else np.pad(
            array[:, :length],
            [(0, 0), (0, max(length - array.shape[1], 0))],
            constant_values=PADDING.get(array.dtype.name, 0),
        )
        for array in inputs
    )


def fitting(inputs: Sequence[np.ndarray], length: int | None) -> np.ndarray:
    """Returns which windows only have padding after `length` columns, (w,) bool."""
    fits = np.ones(len(inputs[0]), bool)
    for array in inputs:
        if length is not None and array.ndim == 2:
            fits &= (array[:, length:] == PADDING.get(array.dtype.name, 0)).all(axis=1)
    return fits


def input_names(modality: str, specs: Sequence[tf.TensorSpec]) -> list[str]:
    """Returns names for a network's inputs by their content."""
    usual = {"image": ["pixels"], "text": ["tokens"], "audio": ["samples", "lengths"]}.get(modality, [])
    return usual if len(usual) == len(specs) else [f"input_{number}" for number in range(len(specs))]


def _meaning(spec: tf.TensorSpec, known: dict[str, Any]) -> dict[str, Any]:
    """Returns range and meaning of an input by its name."""
    if spec.name == "pixels":
        return {
            "range": [0, 255],
            "meaning": "red, green and blue of the whole picture, stretched to this size by bilinear "
            "interpolation with pixel centres at halves, antialiased if a side is more than twice as "
            "long; scaling and normalisation are inside the network",
        }
    if spec.name == "tokens":
        return {
            "range": [PADDING["int32"], None],
            "meaning": "token ids with the marks of beginning and end, by the tokenizer described "
            f"under `preprocessor`, then {PADDING['int32']} to the end of the row; in Python, "
            "load_backbone(handle).preprocessor.save_assets(folder) writes its vocabulary",
        }
    if spec.name == "samples":
        return {
            "range": [-1, 1],
            "meaning": f"samples of one channel at {known.get('sample_rate')} Hz, then zeros to the end "
            "of the row",
        }
    if spec.name == "lengths":
        return {"range": [1, None], "meaning": "how many samples of the row are the clip's"}
    return {"range": None, "meaning": "as the preprocessor of the backbone gives it"}


@contextmanager
def quiet_converters() -> Iterator[None]:
    """Silences the converters' deprecation messages. Errors are still raised."""
    loggers = [logging.getLogger(name) for name in _CONVERTERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _spell_out(definition: Any) -> None:
    """Replaces operations in a GraphDef that the converters lack with equivalent ones."""
    constants = {node.name: node for node in definition.node if node.op == "Const"}
    for node in list(definition.node):
        if node.op == "StridedSlice":  # one that only adds an axis, which LiteRT lacks for open shapes
            begin = constants.get(node.input[1].partition(":")[0])
            axis = None if begin is None else _added_axis(node, begin.attr["value"].tensor)
            if axis is not None:
                where = add_constant(definition, f"{node.name}/axis", axis, tf.int32)
                kind = node.attr["T"].type
                node.op = "ExpandDims"
                node.input[:] = [node.input[0], where]
                node.attr.clear()
                node.attr["T"].type = kind
                node.attr["Tdim"].type = tf.int32.as_datatype_enum


def add_constant(definition: Any, name: str, value: float, kind: tf.DType) -> str:
    """Adds a scalar to a GraphDef and returns its name."""
    node = definition.node.add(op="Const", name=name)
    node.attr["dtype"].type = kind.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, kind))
    return name


def _logits(definition: Any, result: str) -> str | None:
    """Returns the tensor in a GraphDef whose softmax is `result`, or None if `result` is no softmax."""
    nodes = {node.name: node for node in definition.node}
    node = nodes[result.partition(":")[0]]
    while node.op == "Identity":
        node = nodes[node.input[0].partition(":")[0]]
    if node.op != "Softmax":
        return None
    name = str(node.input[0])
    return name if ":" in name else f"{name}:0"


def _added_axis(node: Any, begin: Any) -> int | None:
    """Returns where a slice such as x[..., None] or x[:, None] adds an axis, or None for other slices."""
    count = int(np.prod(tf.make_ndarray(begin).shape))
    masks = {
        name: node.attr[f"{name}_mask"].i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    new = masks["new_axis"]
    if masks["shrink_axis"] or new.bit_count() != 1:
        return None
    if masks["ellipsis"]:
        return -1 if (count, masks["ellipsis"], new) == (2, 1, 2) else None
    whole = (1 << count) - 1
    return new.bit_length() - 1 if (masks["begin"] | new) == (masks["end"] | new) == whole else None
