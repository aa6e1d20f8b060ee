"""Prepares labelled examples for training, up to the first layer that is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.training.augmentation import Augmentation

MAX_BYTES = 1 << 30
"""The most bytes of prepared examples in memory; with more, each batch is prepared again."""

VIEWS = 4
"""How many views of each example are kept with augmentation: the original and three others."""

SHORT = 32
"""Texts are never truncated to fewer tokens."""

_CHUNK = 32
_PADDING = -1


class Batch(NamedTuple):
    """A batch of inputs for the moving part of a network.

    Attributes:
        inputs: arrays of w rows each, one row for each window.
        example: (w,) int64, ascending from 0: the example that a window belongs to.
    """

    inputs: tuple[np.ndarray, ...]
    example: np.ndarray


class TrainingExamples:
    """The examples of a training set, as batches of inputs for the moving part of a network.

    The layers before this part are computed once for every view of every example, if the results fit into
    `MAX_BYTES`.

    Args:
        backbone: its preprocessor prepares the examples.
        dataset: n examples, all of which can be read.
        before: the frozen part of the network; None if there is none.
        augmentation: draws each view; None for the examples without changes.
        seed: determines the views.
        crop: whether to truncate the longest texts, for training only, to a length that three of four texts
            do not exceed: a batch costs as much as its longest text.
        eager: whether operations run one by one, see `MovingPart`; the preprocessor is a graph in any case,
            which all that train this backbone share.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        before: keras.Model | None,
        augmentation: Augmentation | None,
        seed: int,
        crop: bool = False,
        eager: bool = False,
    ) -> None:
        self._dataset = dataset
        self._augmentation = augmentation
        self._prepare = backbone.prepare
        self._sample_rate = backbone.preprocessor.sample_rate
        self._before = before
        self._seed = seed
        self._rest = self._plain_rest if eager else tf.function(self._plain_rest, autograph=False)
        self._views: list[list[tuple[np.ndarray, ...]]] | None = None
        self._longest: int | None = None
        self._keep_views()
        if crop and self._views is not None and backbone.modality == "text":
            lengths = [example[0].shape[1] for example in self._views[0] if example[0].ndim > 1]
            self._longest = max(SHORT, int(np.percentile(lengths, 75))) if lengths else None

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def signature(self) -> tuple[tf.TensorSpec, ...]:
        """Returns shapes and types of a batch's inputs."""
        if self._before is None:
            outputs = self._prepare.get_concrete_function().structured_outputs.inputs
        else:
            outputs = self._before.outputs
        return tuple(tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in outputs)

    def plain(self, rows: Sequence[int]) -> Batch:
        """Returns some examples without changes."""
        if self._views is not None:
            return _together([self._views[0][row] for row in rows])
        return self._compute(rows, None)

    def drawn(self, rows: Sequence[int], rng: np.random.Generator) -> Batch:
        """Returns one view of each of some examples, drawn at random if there is augmentation."""
        if self._augmentation is None:
            batch = self.plain(rows)
            if self._longest is None:
                return batch
            return batch._replace(inputs=_cut(batch.inputs, self._longest))
        if self._views is not None:
            views = rng.integers(0, len(self._views), len(rows))
            return _together([self._views[view][row] for view, row in zip(views, rows, strict=True)])
        return self._compute(rows, int(rng.integers(2**31)))

    def plain_batches(self, rows: np.ndarray, size: int = _CHUNK) -> Iterator[Batch]:
        """Yields some examples without changes, in parts."""
        for start in range(0, len(rows), size):
            yield self.plain(rows[start : start + size].tolist())

    def _keep_views(self) -> None:
        """Computes all views; stops if they would be too large to keep."""
        views: list[list[tuple[np.ndarray, ...]]] = []
        count, held = len(self._dataset), 0
        for view in range(1 if self._augmentation is None else VIEWS):
            views.append([])
            for start in range(0, count, _CHUNK):
                rows = range(start, min(start + _CHUNK, count))
                batch = self._compute(rows, None if view == 0 else self._seed + 7919 * view + start)
                views[-1].extend(_apart(batch, len(rows)))
                held += sum(array.nbytes for array in batch.inputs)
                done = view * count + rows.stop
                if held / done * count * (1 if self._augmentation is None else VIEWS) > MAX_BYTES:
                    return
        self._views = views

    def _compute(self, rows: Sequence[int], seed: int | None) -> Batch:
        encoded = self._dataset.read(list(rows), self._sample_rate)
        broken = [row for row, value in zip(rows, encoded, strict=True) if isinstance(value, ReadFailure)]
        if broken:
            raise self._unreadable(broken[0])
        ready = self._prepare(tf.constant(encoded, tf.string))
        if not ready.readable.numpy().all():
            raise self._unreadable(rows[int(ready.readable.numpy().argmin())])
        inputs = tuple(ready.inputs)
        if self._before is not None or (seed is not None and self._augmentation is not None):
            inputs = self._rest(inputs, None if seed is None else tf.constant([seed, 0], tf.int32))
        return Batch(tuple(tensor.numpy() for tensor in inputs), ready.example.numpy())

    def _unreadable(self, row: int) -> ValueError:
        name = self._dataset.ids[row]
        return ValueError(f"examples to train on must be readable. Received: {name}, which is not")

    def _plain_rest(self, inputs: tuple[tf.Tensor, ...], seed: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
        """Runs the steps after the preprocessor: the view, and the frozen part of the network."""
        if seed is not None and self._augmentation is not None:
            inputs = self._augmentation(inputs, seed)
        if self._before is not None:
            outputs = self._before(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
            inputs = tuple(tf.nest.flatten(outputs))
        return inputs


def _apart(batch: Batch, count: int) -> list[tuple[np.ndarray, ...]]:
    """Returns the windows of each of `count` examples; removes token padding that only others needed."""
    places = np.searchsorted(batch.example, np.arange(count + 1))
    tokens = [array for array in batch.inputs if array.ndim == 2 and np.issubdtype(array.dtype, np.integer)]
    apart = []
    for start, end in itertools.pairwise(places):
        own = tuple(array[start:end] for array in batch.inputs)
        if tokens:
            own = _cut(own, max(1, int((tokens[0][start:end] != _PADDING).sum(axis=1).max())))
        apart.append(tuple(array.copy() for array in own))
    return apart


def _cut(inputs: tuple[np.ndarray, ...], length: int) -> tuple[np.ndarray, ...]:
    """Truncates windows to a number of tokens."""
    return tuple(array[:, :length] if array.ndim > 1 else array for array in inputs)


def _together(examples: list[tuple[np.ndarray, ...]]) -> Batch:
    """Joins examples, padded to the longest: tokens with -1, everything else with zeros."""
    counts = [len(example[0]) for example in examples]
    inputs = tuple(_stacked([example[place] for example in examples]) for place in range(len(examples[0])))
    return Batch(inputs, np.repeat(np.arange(len(examples), dtype=np.int64), counts))


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    shape = np.max([array.shape[1:] for array in arrays], axis=0).astype(int) if arrays[0].ndim > 1 else ()
    if all(array.shape[1:] == tuple(shape) for array in arrays):
        return np.concatenate(arrays)
    fill: Any = _PADDING if np.issubdtype(arrays[0].dtype, np.integer) else 0
    stacked = np.full((sum(map(len, arrays)), *shape), fill, arrays[0].dtype)
    start = 0
    for array in arrays:
        stacked[(slice(start, start + len(array)), *map(slice, array.shape[1:]))] = array
        start += len(array)
    return stacked
