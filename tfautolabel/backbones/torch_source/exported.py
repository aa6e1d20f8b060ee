"""Exports a PyTorch module with `torch.export` to a graph of ATen operations, for any number of pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel._optional import require

KEPT = (
    "aten::einsum",
    "aten::group_norm",
    "aten::hardsigmoid",
    "aten::hardswish",
    "aten::instance_norm",
    "aten::layer_norm",
    "aten::linear",
    "aten::log_softmax.int",
    "aten::matmul",
    "aten::mish",
    "aten::pixel_shuffle",
    "aten::roll",
    "aten::scaled_dot_product_attention",
    "aten::silu",
    "aten::softmax.int",
    "aten::upsample_bilinear2d.vec",
    "aten::upsample_nearest2d.vec",
)
"""Operations that PyTorch would split into smaller ones, but that TensorFlow has as one."""

CONVOLUTION = "aten.convolution.default"
PADDING = "aten.constant_pad_nd.default"
BATCH_NORM = "aten._native_batch_norm_legit_no_training.default"

WRAPPER = "network."
"""The name of the user's module inside the exported one, see `extractor`."""


@dataclass(frozen=True)
class State:
    """A parameter, a buffer or a constant of a module.

    Attributes:
        name: the dotted name, as in the module's state_dict.
        value: its content.
        trains: whether an optimizer updates it.
    """

    name: str
    value: np.ndarray
    trains: bool


@dataclass(frozen=True)
class Exported:
    """The graph of a module.

    Attributes:
        nodes: the operations in order, each a `torch.fx.Node`, without the unused ones.
        states: the content of the graph's inputs, by the input's name. Only the input for the pictures is
            missing.
    """

    nodes: list[Any]
    states: dict[str, State]

    @property
    def architecture(self) -> str:
        """Returns a hash of operations and connections, without the weights: 64 hexadecimal digits."""
        places = {node: place for place, node in enumerate(self.nodes)}
        digest = hashlib.sha256()
        for node in self.nodes:
            state = self.states.get(node.name)
            named = state.name if state and node.op == "placeholder" else str(node.target)
            if node.op == "output":
                named = "output"
            options = sorted(node.kwargs.items())
            described = [node.op, named, _written(node.args, places), _written(options, places)]
            digest.update(repr(described).encode())
            if state and not np.issubdtype(state.value.dtype, np.floating):
                digest.update(np.ascontiguousarray(state.value).tobytes())
        return digest.hexdigest()


def _written(value: object, places: dict[Any, int]) -> str:
    """Returns arguments as text, with positions for nodes, because PyTorch may change their names."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_written(part, places) for part in value)}]"
    return f"%{places[value]}" if value in places else repr(value)


def export(module: object, size: int) -> Exported:
    """Exports a module that takes (n, 3, size, size) float32, for any n.

    Args:
        module: a `torch.nn.Module` in evaluation mode.
        size: side of the pictures in pixels.

    Raises:
        ValueError: If the module cannot be written as one graph for any number of pictures.
    """
    torch = require("torch", extra="torch")
    pictures = torch.zeros(2, 3, size, size)
    batch = torch.export.Dim("batch", min=1)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            program = torch.export.export(module, (pictures,), dynamic_shapes=({0: batch},), strict=False)
            table = torch.export.default_decompositions()
            for operation in [operation for operation in table if operation.name() in KEPT]:
                del table[operation]
            program = program.run_decompositions(table)
    except Exception as error:  # PyTorch raises many classes here, most of them private.
        raise ValueError(
            f"torch.export could not make one graph of {type(module).__name__}: {_reason(error)}; a module "
            "must compute the same operations whatever the pictures show and however many there are "
            "(x.shape[0] leaves their number open, len(x) does not)"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    _merge_paddings(program.graph)
    _merge_norms(program.graph)
    return Exported(list(_used(program.graph)), dict(_states(program)))


def _reason(error: Exception) -> str:
    """Returns the first line of PyTorch's message, and where in the module's code the error happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0][:300].rstrip(".") if lines else type(error).__name__
    caused = [line for line in lines if line.startswith("Caused by:")]
    return f"{reason} ({caused[0][:200]})" if caused else reason


def _used(graph: Any) -> Iterator[Any]:
    """Returns the nodes that the output depends on, in order."""
    output = next(node for node in graph.nodes if node.op == "output")
    needed, waiting = {output}, [output]
    while waiting:
        for node in waiting.pop().all_input_nodes:
            if node not in needed:
                needed.add(node)
                waiting.append(node)
    return (node for node in graph.nodes if node in needed)


def _states(program: Any) -> Iterator[tuple[str, State]]:
    signature = program.graph_signature
    for name, target in signature.inputs_to_parameters.items():
        parameter = program.state_dict[target]
        yield name, State(target.removeprefix(WRAPPER), _array(parameter), trains=True)
    for name, target in {
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }.items():
        held = program.state_dict if target in program.state_dict else program.constants
        yield name, State(target.removeprefix(WRAPPER), _array(held[target]), trains=False)


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


def _merge_paddings(graph: Any) -> None:
    """Merges padding with zeros into the convolution after it, which is faster."""
    for node in graph.nodes:
        if str(node.target) != CONVOLUTION or str(getattr(node.args[0], "target", "")) != PADDING:
            continue
        inputs, sizes, *fill = node.args[0].args
        padding = node.args[4]
        if (fill and fill[0] != 0) or len(sizes) > 4 or len(padding) != 2 or min(sizes) < 0:
            continue
        sizes = [*sizes, 0, 0][:4]
        (left, right, top, bottom), (down, across) = sizes, padding
        node.args = (inputs, *node.args[1:])
        margins = ((top + down, bottom + down), (left + across, right + across))
        node.kwargs = {**node.kwargs, "margins": margins}


def _merge_norms(graph: Any) -> None:
    """Merges a batch norm into the convolution before it, if nothing else uses that convolution."""
    for node in graph.nodes:
        source = node.args[0] if str(node.target) == BATCH_NORM else None
        if source is None or str(source.target) != CONVOLUTION or len(source.users) != 1:
            continue
        _, *states, _, epsilon = node.args
        # Values that are computed after the convolution do not exist yet when it runs.
        if any(state is not None and state.op != "placeholder" for state in states):
            continue
        source.kwargs = {**source.kwargs, "norm": (*states, epsilon)}
        for result in list(node.users):
            result.replace_all_uses_with(source)
