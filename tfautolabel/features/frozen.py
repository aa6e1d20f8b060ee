"""Freezes a backbone's network: weights become constants, and batch norm is folded into convolutions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._cores import granted_cores
from tfautolabel._keras_internals import calls_of, maker_of, sources_of, uses_of
from tfautolabel._tensorflow_internals import with_constants
from tfautolabel.backbones.backbone import run_network

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


PART = 4
"""Windows that one thread runs through the network at a time. Few, so that tensors stay in the CPU caches."""

_SCOPE = "network"
"""The prefix of the network's operations in a session's graph."""

LARGE = 32 * 1024 * 1024
"""Weights of more bytes (embedding tables) stay variables, because TensorFlow copies constants many times."""


class NetworkGraph(NamedTuple):
    """A frozen network as a graph, with the names of its tensors."""

    definition: tf.compat.v1.GraphDef
    inputs: list[str]
    output: str


class NetworkSession(NamedTuple):
    """A session with a network, and the names of the network's tensors in it."""

    session: tf.compat.v1.Session
    inputs: list[str]
    output: str

    def graph_that_runs(self, *inputs: np.ndarray) -> list[tf.compat.v1.GraphDef]:
        """Returns the graph after TensorFlow's optimizer, one for each device, as it runs for some inputs."""
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        found = tf.compat.v1.RunMetadata()
        feed = dict(zip(self.inputs, inputs, strict=True))
        self.session.run(self.output, feed, options=options, run_metadata=found)
        return list(found.partition_graphs)


class FrozenNetwork:
    """A fast inference copy of a network. Later training of the network does not change the copy.

    With constants, TensorFlow's graph optimizer prepares the kernels once. A batch norm after a convolution
    becomes part of the convolution. A call with arrays runs parts of the batch in parallel in a session. A
    session keeps the prepared kernels between calls, but a `tf.function` does not. Cores that work on
    separate parts do not wait for each other after every operation.

    Args:
        network: a model with inputs of (w, ...) each and one output of (w, d).
        part: rows that one thread runs through the network at a time.

    Attributes:
        parts: the large weights that did not become constants.
        session: what runs it on the CPU; None before the first call.
    """

    def __init__(self, network: keras.Model, part: int = PART) -> None:
        folded = fold_batch_norm(network)
        large = [variable for variable in folded.variables if _size(variable) > LARGE]
        specs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in network.inputs]
        tables = [tf.TensorSpec(variable.shape, variable.dtype) for variable in large]

        def run(*arguments: tf.Tensor) -> tf.Tensor:
            given = arguments[len(specs) :]
            with keras.StatelessScope(state_mapping=list(zip(large, given, strict=True))):
                return run_network(folded, arguments[: len(specs)])

        traced = tf.function(run, autograph=False).get_concrete_function(*specs, *tables)
        with _without_table_remarks():
            self._function = with_constants(traced)
        self.parts: list[tf.Variable] = [variable.value for variable in large]
        self._n_inputs = len(specs)
        self._output_shape = [None, *network.output_shape[1:]]
        self._part = part
        self._run: Callable[..., np.ndarray] | None = None
        self.session: NetworkSession | None = None
        self._threads = ThreadPoolExecutor(granted_cores(), "network")

    @property
    def graph(self) -> NetworkGraph:
        """Returns the network's graph: its inputs, and then `parts`, are placeholders."""
        names = [tensor.name for tensor in self._function.inputs]
        return NetworkGraph(self._function.graph.as_graph_def(), names, self._function.outputs[0].name)

    def warm_up(self) -> None:
        """Makes TensorFlow optimise the graph now. Has no effect if the inputs' shapes are unknown."""
        tensors = self._function.inputs[: self._n_inputs]
        if all(tensor.shape[1:].is_fully_defined() for tensor in tensors):
            self(*(np.zeros([1, *tensor.shape[1:]], tensor.dtype.as_numpy_dtype) for tensor in tensors))

    def in_graph(self, *inputs: tf.Tensor) -> tf.Tensor:
        """Maps inputs of (w, ...) each to (w, d) float32 in another graph, which must track `parts`."""
        tables = [tf.convert_to_tensor(table) for table in self.parts]
        return tf.ensure_shape(self._function(*inputs, *tables)[0], self._output_shape)

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Maps inputs of (w, ...) each to (w, d) float32."""
        count = len(inputs[0])
        if not count:
            return np.zeros((0, *self._output_shape[1:]), np.float32)
        run = self._run = self._run or self._start_session()
        parts = [slice(start, start + self._part) for start in range(0, count, self._part)]
        return np.concatenate(
            list(self._threads.map(lambda part: run(*(rows[part] for rows in inputs)), parts))
        )

    def _start_session(self) -> Callable[..., np.ndarray]:
        definition, names, given = self.graph
        graph = tf.Graph()
        with graph.as_default():
            held = [_Held(table) for table in self.parts]
            known = zip(names[self._n_inputs :], held, strict=True)
            tf.graph_util.import_graph_def(definition, {name: one.value for name, one in known}, name=_SCOPE)
        with _own_thread_pool() as config:
            config.device_count["GPU"] = 0
            self.configure(config)
            session = tf.compat.v1.Session(graph=graph, config=config)
        for one, table in zip(held, self.parts, strict=True):
            session.run(one.fill, {one.content: table.numpy()})
        inputs = [f"{_SCOPE}/{name}" for name in names[: self._n_inputs]]
        output = f"{_SCOPE}/{given}"
        self.session = NetworkSession(session, inputs, output)
        run: Callable[..., np.ndarray] = session.make_callable(output, inputs)
        return run

    def configure(self, config: tf.compat.v1.ConfigProto) -> None:
        """Changes the configuration of the session; a subclass may."""

    def shortfall(self, *inputs: np.ndarray) -> str:  # noqa: ARG002
        """Returns "": float32 is what every network has; see `Engine`."""
        return ""

    def remark(self) -> str:
        """Returns ""; see `Engine`."""
        return ""


class CalledNetwork:
    """An unchanged network, for modules that take strings. Their lookup tables cannot become constants.

    Args:
        network: a model with inputs of (w, ...) each and one output of (w, d).
        part: has no effect.

    Attributes:
        parts: the layers, which hold weights and tables.
    """

    def __init__(self, network: keras.Model, part: int = PART) -> None:  # noqa: ARG002
        self.parts = list(network.layers)
        self._network = network
        specs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in network.inputs]
        self._function = tf.function(
            lambda *inputs: run_network(network, inputs), input_signature=specs, autograph=False
        )

    def warm_up(self) -> None:
        """Has no effect."""

    def shortfall(self, *inputs: np.ndarray) -> str:  # noqa: ARG002
        """Returns ""; see `Engine`."""
        return ""

    def remark(self) -> str:
        """Returns ""; see `Engine`."""
        return ""

    def in_graph(self, *inputs: tf.Tensor) -> tf.Tensor:
        """Maps inputs of (w, ...) each to (w, d) float32 in another graph, which must track `parts`."""
        return run_network(self._network, inputs)

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Maps inputs of (w, ...) each to (w, d) float32."""
        # A GPU would round products of float32 to ten bits.
        with tf.device("/CPU:0"):
            return np.asarray(self._function(*map(tf.convert_to_tensor, inputs)).numpy())


def inference_network(network: keras.Model, part: int = PART) -> FrozenNetwork | CalledNetwork:
    """Returns the fastest possible inference copy of a network.

    Args:
        network: a model with inputs of (w, ...) each and one output of (w, d).
        part: rows that one thread runs through the network at a time.
    """
    return (CalledNetwork if takes_strings(network) else FrozenNetwork)(network, part)


def takes_strings(network: keras.Model) -> bool:
    """Returns whether a network has its tokenizer in it, so that it cannot be frozen."""
    return any(spec.dtype == "string" for spec in network.inputs)


class _Held:
    """A table in a session: a variable that is filled once.

    Args:
        table: the content. Only its shape and type are used here.
    """

    def __init__(self, table: tf.Variable) -> None:
        self.content = tf.compat.v1.placeholder(table.dtype, table.shape)
        variable = tf.compat.v1.Variable(self.content, use_resource=True, trainable=False)
        self.fill = variable.initializer
        self.value = variable.read_value()


def _size(variable: keras.Variable) -> int:
    """Returns the size in bytes."""
    return int(np.prod(variable.shape)) * int(tf.as_dtype(variable.dtype).size)


@contextmanager
def _without_table_remarks() -> Iterator[None]:
    """Silences TensorFlow's messages about lookup tables of the process that are not in the network."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _own_thread_pool() -> Iterator[tf.compat.v1.ConfigProto]:
    """Yields a configuration for sessions whose operations use one thread each.

    A session reads the environment variable when it creates its devices. The variable gives the session its
    own thread pool.
    """
    name = "TF_OVERRIDE_GLOBAL_THREADPOOL"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1)
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """Merges each batch norm directly after a convolution into the convolution.

    Args:
        network: any model. Only functional models are folded.

    Returns:
        A model with the same outputs at inference, or `network` itself if there is nothing to fold.
    """
    pairs = _foldable(network)
    if not pairs:
        return network
    if isinstance(network, keras.Sequential):
        # Keras clones a Sequential differently and cannot leave out a layer.
        network = keras.Model(network.inputs, network.outputs)
    norms = {norm.name for _, norm in pairs}
    convolutions = {convolution.name for convolution, _ in pairs}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in convolutions:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> tf.Tensor:
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    folded = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in network.layers:
        if layer.name not in norms and layer.name not in convolutions and layer.weights:
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    for convolution, norm in pairs:
        folded.get_layer(convolution.name).set_weights(_folded_weights(convolution, norm))
    return folded


def _foldable(network: keras.Model) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """Returns pairs of a convolution and the batch norm that is the only user of its output."""
    pairs = []
    outputs = [maker_of(output) for output in network.outputs or ()]
    for layer in network.layers:
        if not isinstance(layer, keras.layers.BatchNormalization) or calls_of(layer) != 1:
            continue
        sources = sources_of(layer)
        source = sources[0] if len(sources) == 1 else None
        if (
            source is not None
            and type(source) in _CONVOLUTIONS
            and source.activation is keras.activations.linear
            and source.data_format == "channels_last"
            and layer.axis in (-1, 3)
            and calls_of(source) == 1
            and uses_of(source) == 1
            and source not in outputs
        ):
            pairs.append((source, layer))
    return pairs


def _folded_weights(convolution: keras.layers.Layer, norm: keras.layers.Layer) -> list[np.ndarray]:
    """Returns a kernel and a bias that give the same as the convolution followed by the batch norm."""
    kernel, *bias = convolution.get_weights()
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    factor = (norm.gamma.numpy() if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)
    shift = (norm.beta.numpy() if norm.center else 0.0) - mean * factor
    per_output = factor if type(convolution) is keras.layers.Conv2D else factor.reshape(kernel.shape[2:])
    return [kernel * per_output, shift + (bias[0] * factor if bias else 0.0)]
