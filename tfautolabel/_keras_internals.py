"""All undocumented parts of Keras that this package uses; each has a test that describes it.

If a new version breaks one of them, the test with its name in `tests/test_keras_internals.py` fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras


class Node(Protocol):
    """One call of an operation, in a functional model."""

    operation: Any
    is_input: bool
    input_tensors: Sequence[keras.KerasTensor]
    outputs: Sequence[keras.KerasTensor]
    arguments: Any


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and all layers within it, at any depth."""
    return list(layer._flatten_layers())


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers that are directly within a layer."""
    return list(layer._layers)


def own_parameters(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the trainable weights of a layer itself, even if they are frozen now."""
    return list(layer._trainable_variables)


def is_trainable(layer: keras.layers.Layer) -> bool:
    """Returns the value of `trainable`, also for a layer that overrides this property."""
    return bool(layer._trainable)


def let_train(layer: keras.layers.Layer, trainable: bool) -> None:
    """Sets `trainable` of a layer and leaves its variables unchanged."""
    layer._trainable = trainable


def track(layer: keras.layers.Layer, variable: keras.Variable) -> None:
    """Makes a variable one of a layer's weights, as assigning it to an attribute does."""
    layer._track_variable(variable)


def is_functional(network: keras.Model) -> bool:
    """Returns whether a model knows the calls that it is made of."""
    return hasattr(network, "_nodes_by_depth")


def nodes(network: keras.Model) -> Iterator[Node]:
    """Yields the calls of a functional model; each comes after the calls whose results it takes."""
    for depth in sorted(network._nodes_by_depth, reverse=True):
        yield from network._nodes_by_depth[depth]


def call_again(node: Node, tensors: Mapping[int, Any]) -> Any:
    """Repeats a call with other tensors, which are found by the `id` of the original ones."""
    args, kwargs = node.arguments.fill_in(tensors)
    return node.operation(*args, **kwargs)


def maker_of(tensor: keras.KerasTensor) -> Any:
    """Returns the operation that made a tensor."""
    return tensor._keras_history.operation


def calls_of(layer: keras.layers.Layer) -> int:
    """Returns how often a layer was called while functional models were made."""
    return len(layer._inbound_nodes)


def uses_of(layer: keras.layers.Layer) -> int:
    """Returns how often a layer's output was passed to another layer."""
    return len(layer._outbound_nodes)


def sources_of(layer: keras.layers.Layer) -> list[Any]:
    """Returns the operations whose results the first call of a layer took."""
    return [node.operation for node in layer._inbound_nodes[0].parent_nodes]


def moments(optimizer: keras.optimizers.Adam, variable: Any) -> tuple[int, keras.Variable, keras.Variable]:
    """Returns the index of a variable among those that an Adam trains, and its first and second moment."""
    place = int(optimizer._get_variable_index(variable))
    return place, optimizer._momentums[place], optimizer._velocities[place]
