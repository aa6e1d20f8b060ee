"""Builds a TensorFlow network from an exported graph. Its weights are variables, so it can be trained."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.backbones.torch_source.convolutions import CONVOLUTIONS, convolution_kernel, is_depthwise
from tfautolabel.backbones.torch_source.elementwise import ELEMENTWISE
from tfautolabel.backbones.torch_source.exported import (
    BATCH_NORM,
    CONVOLUTION,
    WRAPPER,
    Exported,
    State,
)
from tfautolabel.backbones.torch_source.matrices import MATRICES
from tfautolabel.backbones.torch_source.reductions import REDUCTIONS
from tfautolabel.backbones.torch_source.shapes import SHAPES
from tfautolabel.backbones.torch_source.value import Kernel, Value

OPERATIONS: dict[str, Callable[..., Any]] = {
    **ELEMENTWISE,
    **CONVOLUTIONS,
    **MATRICES,
    **SHAPES,
    **REDUCTIONS,
}
"""PyTorch's name of each operation to what computes it."""

_LINEAR = "aten.linear.default"
_NORMALISATIONS = (BATCH_NORM, "aten.layer_norm.default", "aten.group_norm.default")
_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_NUMBERS = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg)
"""Operations that PyTorch applies to sizes that are only known at run time."""

_PLACES = ("layout", "device", "pin_memory", "memory_format", "non_blocking")
"""Options for a tensor's device and memory layout. They do not change its values."""


class _Variable:
    """A weight as a variable, in the axis order that TensorFlow's operation needs."""

    def __init__(self, node: Any, state: State) -> None:
        users = [user for user in node.users if len(user.args) > 1 and user.args[1] is node]
        only: Any = users[0] if len(users) == len(node.users) and _agree(users) else None
        value, self._kind = state.value, Value
        target = str(only.target) if only is not None else ""
        if target == CONVOLUTION and value.ndim == 4:
            groups = only.args[8]
            depthwise = is_depthwise(int(only.args[0].meta["val"].shape[1]), groups)
            value, self._kind = convolution_kernel(value, groups, depthwise).numpy(), Kernel
        elif target == _LINEAR:
            value, self._kind = value.T, Kernel
        self.variable = tf.Variable(value, trainable=state.trains, name=_name(node, state.name))

    def value(self) -> Value:
        return self._kind(tf.convert_to_tensor(self.variable))


def _agree(users: Sequence[Any]) -> bool:
    """Returns whether all users of a weight need the same axis order."""
    return len({(str(user.target), str(user.args[8:9])) for user in users}) == 1


def _name(node: Any, dotted: str) -> str:
    """Returns a variable's name. The weights of a normalisation get TensorFlow's names."""
    path, _, leaf = dotted.rpartition(".")
    if any(str(user.target) in _NORMALISATIONS or node in user.kwargs.get("norm", ()) for user in node.users):
        leaf = _NORM_NAMES.get(leaf, leaf)
    return re.sub(r"[^A-Za-z0-9]+", "_", f"{path}.{leaf}").strip("_")


class Network:
    """A converted module with variables: it maps pictures to features.

    Args:
        exported: the module's graph, with one output.
        mean: one value per channel, for pixels in [0, 1]. It is subtracted first.
        deviation: one value per channel. The difference is divided by it.

    Raises:
        ValueError: If an operation has no counterpart.
    """

    def __init__(self, exported: Exported, mean: Sequence[float], deviation: Sequence[float]) -> None:
        self._nodes = exported.nodes
        self._mean, self._deviation = np.array(mean, np.float32), np.array(deviation, np.float32)
        missing = [node for node in self._nodes if node.op == "call_function" and not _is_known(node)]
        if missing:
            raise ValueError(f"{_described(missing[0])} has no counterpart in TensorFlow here")
        self._variables: dict[str, _Variable] = {}
        self._constants: dict[str, np.ndarray] = {}
        inputs = {node.name: node for node in self._nodes if node.op == "placeholder"}
        for node in self._nodes:
            for name in [given.name for given in node.all_input_nodes if given.name in exported.states]:
                state = exported.states[name]
                if not np.issubdtype(state.value.dtype, np.floating):
                    self._constants[name] = state.value
                elif name not in self._variables:
                    self._variables[name] = _Variable(inputs[name], state)

    def __call__(self, pictures: tf.Tensor) -> tf.Tensor:
        """Maps (n, size, size, 3) float32 in [0, 1] to (n, d) float32."""
        normalised = (pictures - self._mean) * (1 / self._deviation)
        known: dict[Any, Any] = {}
        for node in self._nodes:
            if node.op == "placeholder":
                known[node] = self._input(node, normalised)
            elif node.op == "output":
                return known[node.args[0][0]].plain
            else:
                known[node] = _compute(node, known)
        raise ValueError("a graph must have an output")

    def _input(self, node: Any, normalised: tf.Tensor) -> Value:
        if node.name in self._variables:
            return self._variables[node.name].value()
        if node.name in self._constants:
            return Value(tf.constant(self._constants[node.name]))
        return Value(normalised, channels_last=True)

    def save(self, folder: Path, size: int) -> None:
        """Writes a reusable SavedModel in TensorFlow Hub's form for pictures.

        It has no `training` argument. Batch norms keep their learnt statistics, which a few labels would only
        make worse. Everything that an optimizer updates is a variable.

        Args:
            folder: where to write.
            size: side of the pictures in pixels.
        """
        root = tf.train.Checkpoint()
        spec = tf.TensorSpec([None, size, size, 3], tf.float32, name="pictures")
        # The class already builds plain operations, so autograph would only rewrite them.
        root.__call__ = tf.function(self.__call__, input_signature=[spec], autograph=False)
        variables = [held.variable for held in self._variables.values()]
        root.variables = variables
        root.trainable_variables = [variable for variable in variables if variable.trainable]
        root.regularization_losses = []
        tf.saved_model.save(root, str(folder))


def _is_known(node: Any) -> bool:
    name = str(node.target)
    return name in OPERATIONS or node.target in (operator.getitem, *_NUMBERS) or name == "aten.sym_size.int"


def _compute(node: Any, known: dict[Any, Any]) -> Any:
    """Returns the result of one operation."""
    arguments = [_argument(argument, known) for argument in node.args]
    if node.target is operator.getitem or node.target in _NUMBERS:
        return node.target(*arguments)
    if str(node.target) == "aten.sym_size.int":
        given, axis = arguments
        length = given.shape[axis]
        return tf.shape(given.held)[given.axis(axis)] if length is None else length
    options = {name: _argument(option, known) for name, option in node.kwargs.items() if name not in _PLACES}
    try:
        result = OPERATIONS[str(node.target)](*arguments, **options)
    except (NotImplementedError, TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0][:300]
        raise ValueError(f"{_described(node)} cannot be carried over: {reason}") from error
    return _with_shape(result, node.meta.get("val"))


def _with_shape(result: object, described: object) -> Any:
    """Sets the sizes that PyTorch knows on TensorFlow's tensors."""
    if isinstance(result, Value) and hasattr(described, "shape"):
        sizes = [size if type(size) is int else None for size in described.shape]
        if result.channels_last:
            sizes = [sizes[0], *sizes[2:], sizes[1]]
        result.held.set_shape(sizes)
    return result


def _argument(value: object, known: dict[Any, Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_argument(part, known) for part in value]
    if type(value).__module__.partition(".")[0] == "torch":
        if hasattr(value, "op"):
            return known[value]
        return tf.as_dtype(str(value).removeprefix("torch.")) if hasattr(value, "is_floating_point") else None
    return value


def _described(node: Any) -> str:
    """Returns an operation's name and the module that it belongs to, for messages."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return f"the operation {node.target}"
    path, kind = stack[-1]
    name = getattr(kind, "__name__", str(kind).rpartition(".")[2])
    place = path.removeprefix(WRAPPER)
    return f"the operation {node.target} of {name}" + (f" ({place})" if place != path else "")
