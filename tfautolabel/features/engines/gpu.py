"""GPUs: large batches, float16 with XLA, pictures stretched on the device, all GPUs side by side.

A CPU engine runs few rows at a time so that they stay in its caches. A GPU is idle then. It gets many rows
at once, always in the same few shapes, so that XLA compiles once for each; two threads for each GPU copy the
next rows while it computes.
"""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._gpus import visible_gpus, why_none_visible
from tfautolabel._precision import FLOAT16, FLOAT32
from tfautolabel.features.engines.contract import Engine, EngineKind, Preparation
from tfautolabel.features.engines.cpu import prepared_on_the_host
from tfautolabel.features.engines.float16_graph import in_float16
from tfautolabel.features.engines.stretched import stretched
from tfautolabel.features.frozen import FrozenNetwork, takes_strings
from tfautolabel.preprocessors import ImagePreprocessor, Preprocessor
from tfautolabel.preprocessors.contract import Filling
from tfautolabel.preprocessors.pictures.decoded import decoded_pictures

BATCHES = 8
"""A GPU gets so many times the batch size at once."""

MOST_ROWS = 512
"""More rows than this are computed one part after the other, to bound the device's memory."""

LENGTHS = 5
"""Texts and sounds are filled up to one of so many lengths, each half of the next one."""

IN_FLIGHT = 2
"""Calls for each GPU at a time: one copies while the other one computes."""


_REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
    tf.errors.NotFoundError,
    tf.errors.InternalError,
)
"""What XLA raises for an operation that it lacks, and where its own compiler or libraries are missing."""


class GpuNetwork:
    """A frozen network on one device or several.

    Args:
        network: a model with inputs of (w, ...) each and one output of (w, d).
        precision: "float32" or "float16".
        devices: names of devices for TensorFlow; each has a copy of the network.
        front: turns what a batch has into the network's inputs, on the device; by default they are the same.
        filling: how inputs of unknown length are filled up; None if they must not be.

    Attributes:
        compiles: whether XLA compiles it; False once XLA has refused.
        compiled: what XLA compiled, by device and shapes.
    """

    def __init__(
        self,
        network: keras.Model,
        precision: str,
        devices: Sequence[str],
        *,
        front: Callable[..., tuple[tf.Tensor, ...]] | None = None,
        filling: Filling | None = None,
    ) -> None:
        self._specs, self._filling, self._front = network.inputs, filling, front
        self._feature_dim = int(network.output_shape[1])
        frozen = FrozenNetwork(network)
        graph = in_float16(frozen.graph.definition) if precision == FLOAT16 else frozen.graph.definition
        inputs, output = frozen.graph.inputs, frozen.graph.output
        # XLA refuses a placeholder even where nothing reads it.
        nodes = [node for node in graph.node if node.op != "Placeholder"]
        del graph.node[:]
        graph.node.extend(nodes)

        def on(device: str) -> Callable[..., tf.Tensor]:
            with tf.device(device):
                tables = [tf.identity(table) for table in frozen.parts]

            def run(*given: tf.Tensor) -> tf.Tensor:
                values = dict(zip(inputs, [*given, *map(tf.identity, tables)], strict=True))
                return tf.graph_util.import_graph_def(graph, values, [output], name="network")[0]

            return run

        functions = {device: on(device) for device in dict.fromkeys(devices)}
        # XLA compiles for each shape, so it must not meet a new one in every batch.
        varies = any(None in spec.shape[1:] for spec in network.inputs)
        self.compiles = not varies or filling is not None
        self.compiled: dict[tuple[object, ...], Callable[..., tf.Tensor]] = {}
        self._lock = threading.Lock()
        self._functions = {
            compiles: {
                device: tf.function(
                    run, autograph=False, jit_compile=compiles or None, reduce_retracing=not compiles
                )
                for device, run in functions.items()
            }
            for compiles in (True, False)
        }
        self._before = front and tf.function(front, autograph=False, reduce_retracing=True)
        self._rows: dict[tuple[int, ...], int] = {}
        self._free: queue.Queue[str] = queue.Queue()
        for device in [*devices] * IN_FLIGHT:
            self._free.put(device)

    def warm_up(self) -> None:
        """Has no effect: XLA compiles for the rows that come."""

    def shortfall(self, *inputs: np.ndarray) -> str:  # noqa: ARG002
        """Returns "": its graph holds the precision; see `Engine`."""
        return ""

    def remark(self) -> str:
        """Says so if XLA does not compile it."""
        return "" if self.compiles else "XLA cannot compile this network, so that it is slower"

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Maps inputs of (w, ...) each to (w, d) float32."""
        count = len(inputs[0])
        parts = [slice(start, start + MOST_ROWS) for start in range(0, count, MOST_ROWS)]
        empty = np.zeros((0, self._feature_dim), np.float32)
        return np.concatenate([empty, *(self._part([rows[part] for rows in inputs]) for part in parts)])

    def _part(self, inputs: list[np.ndarray]) -> np.ndarray:
        count = len(inputs[0])
        with self._device() as device, tf.device(device), _told_of_full_memory(count):
            tensors = [tf.convert_to_tensor(rows) for rows in self._filled(inputs)]
            if self._before is not None:
                tensors = list(self._before(*tensors))
            tensors = [_with_rows(tensor, self._row_count(count, tensors)) for tensor in tensors]
            return np.asarray(self._run(device, tensors).numpy(), np.float32)[:count]

    def _run(self, device: str, tensors: list[tf.Tensor]) -> tf.Tensor:
        if self.compiles:
            try:
                return self._traced(device, tensors)(*tensors)
            except _REFUSALS:
                # TensorFlow runs the same graph without XLA, slower.
                self.compiles = False
        return self._functions[False][device](*tensors)

    def _traced(self, device: str, tensors: list[tf.Tensor]) -> Callable[..., tf.Tensor]:
        place = (device, *(tuple(tensor.shape) for tensor in tensors))
        with self._lock:
            if place not in self.compiled:
                specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
                self.compiled[place] = self._functions[True][device].get_concrete_function(*specs)
        return self.compiled[place]

    @contextmanager
    def _device(self) -> Iterator[str]:
        device = self._free.get()
        try:
            yield device
        finally:
            self._free.put(device)

    def _filled(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Fills inputs of unknown length up to one of a few lengths."""
        if self._filling is None or self._front is not None:
            return inputs
        value, most = self._filling
        filled = []
        for rows, spec in zip(inputs, self._specs, strict=True):
            if rows.ndim > 1 and spec.shape[1] is None:
                around = [(0, 0)] * rows.ndim
                around[1] = 0, bucket(rows.shape[1], most) - rows.shape[1]
                rows = np.pad(rows, around, constant_values=value)
            filled.append(rows)
        return filled

    def _row_count(self, count: int, tensors: list[tf.Tensor]) -> int:
        """Returns how many rows to compute: as many as before if these are enough, so that XLA knows them."""
        place = tuple(length for tensor in tensors for length in tensor.shape[1:])
        known = self._rows.get(place, 0)
        if count > known:
            known = self._rows[place] = 1 << (count - 1).bit_length()
        return known


def bucket(length: int, most: int) -> int:
    """Returns the length to fill up to: `most`, or its half, quarter and so on if that is enough.

    Examples:
        >>> [bucket(length, 512) for length in (3, 32, 33, 200, 512, 600)]
        [32, 32, 64, 256, 512, 600]
    """
    steps = [-(-most // 2**step) for step in reversed(range(LENGTHS))]
    return next((step for step in steps if step >= length), length)


def _with_rows(tensor: tf.Tensor, count: int) -> tf.Tensor:
    """Repeats the last row until there are so many."""
    missing = count - tensor.shape[0]
    return tf.concat([tensor, tf.repeat(tensor[-1:], missing, axis=0)], axis=0) if missing else tensor


@contextmanager
def _told_of_full_memory(count: int) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(
            f"the GPU's memory is too small for {count} examples at a time: use a smaller batch_size "
            f"(--batch-size), of which a GPU takes {BATCHES} times as many"
        ) from error


def _stretches(preprocessor: Preprocessor) -> bool:
    """Returns whether pictures are stretched on the device; a subclass may read them in another way."""
    return type(preprocessor) is ImagePreprocessor


def prepared_for_the_device(preprocessor: Preprocessor) -> Preparation:
    """Returns a graph that decodes pictures only, or the preprocessor's own."""
    if not isinstance(preprocessor, ImagePreprocessor) or not _stretches(preprocessor):
        return prepared_on_the_host(preprocessor)
    return decoding(preprocessor.size, preprocessor.max_pixels)


@functools.lru_cache(maxsize=4)
def decoding(size: int, max_pixels: int) -> Preparation:
    """Returns `decoded_pictures` as a graph. TensorFlow needs seconds for it when it first runs."""
    decode = functools.partial(decoded_pictures, size=size, max_pixels=max_pixels)
    strings = tf.TensorSpec([None], tf.string)
    with tf.device("/CPU:0"):
        graph = tf.function(decode, input_signature=[strings], autograph=False)
        made: Preparation = graph.get_concrete_function()
    return made


def on_devices(
    network: keras.Model, preprocessor: Preprocessor, precision: str, devices: Sequence[str]
) -> GpuNetwork:
    """Makes the engine of a network and what comes before it, for some devices."""
    front = None
    if isinstance(preprocessor, ImagePreprocessor) and _stretches(preprocessor):
        size = preprocessor.size

        def front(canvas: tf.Tensor, sizes: tf.Tensor, squares: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (stretched(canvas, sizes, squares, size),)

    return GpuNetwork(network, precision, devices, front=front, filling=preprocessor.filling)


def _make(network: keras.Model, preprocessor: Preprocessor, precision: str) -> Engine:
    if precision == FLOAT32:
        # Else a GPU rounds what it multiplies to 10 bits, and calls it float32.
        tf.config.experimental.enable_tensor_float_32_execution(False)
    return on_devices(network, preprocessor, precision, visible_gpus())


def _missing() -> str:
    return "" if visible_gpus() else f"TensorFlow sees no GPU: {why_none_visible()}"


def _unfit(network: keras.Model) -> str:
    if takes_strings(network):
        return "its network takes strings, so it cannot be frozen for a GPU"
    return ""


# The limits of float16 were chosen as in `bf16.py` (cosines of .99991 and .9999993, differences of at most
# .001), with XLA on a CPU; those of float32 are the CPU's.
GPU = EngineKind(
    device="gpu",
    precisions=(FLOAT16, FLOAT32),
    missing=_missing,
    unfit=_unfit,
    make=_make,
    prepare=prepared_for_the_device,
    least_cosine={FLOAT16: 0.999, FLOAT32: 0.99999},
    most_difference={FLOAT16: 0.02, FLOAT32: 1e-4},
    batches=BATCHES,
    parallel=lambda: IN_FLIGHT * len(visible_gpus()),
)
