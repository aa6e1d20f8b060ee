"""Z = f(X): the features of every example of a data set."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfautolabel._ahead import map_ahead
from tfautolabel._cache import cache_dir as default_cache_dir
from tfautolabel._progress import progress_of
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.preprocessors import why_unreadable
from tfautolabel.data import Dataset, ReadFailure, Rejected
from tfautolabel.features.cache import FeatureCache, content_key
from tfautolabel.features.frozen import FrozenNetwork


@dataclass(frozen=True, eq=False)
class Extraction:
    """The features of those of n examples that could be read.

    Attributes:
        rows: (m,) int64, ascending: which rows of the data set were read, m <= n.
        features: (m, d) float32, one row an example.
        rejected: the n - m others with the reasons, in the order of the data set.
        computed: how many examples went through the backbone.
        reused: how many were found in the cache or were copies of another example.
        digest: 64 hexadecimal digits that change with the ids or the contents of the data set.
    """

    rows: np.ndarray
    features: np.ndarray
    rejected: tuple[Rejected, ...]
    computed: int
    reused: int
    digest: str


def extract_features(
    dataset: Dataset,
    backbone: Backbone,
    *,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
    use_cache: bool = True,
    progress: bool = True,
) -> Extraction:
    """Reads, decodes and runs every example through the frozen backbone once, or takes it from the cache.

    Files are read and decoded in other threads while the network works. An interrupted call keeps what it has
    computed in the cache. An example that cannot be read is set aside with its reason.

    Args:
        dataset: n examples of the backbone's modality.
        backbone: the feature extractor.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept, `features/` in the package's cache by default.
        use_cache: False to compute everything and keep nothing.
        progress: shows a progress bar where standard error is a terminal.

    Returns:
        The features and what was set aside.

    Raises:
        ValueError: If the modality does not fit, `batch_size` is not positive, or the backbone gives features
            that are not finite.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if dataset.modality != backbone.modality:
        raise ValueError(
            f"{backbone.handle} takes {backbone.modality} data. Received: data of modality {dataset.modality}"
        )
    fingerprint = backbone.fingerprint
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir() / "features"
    cache = FeatureCache(folder, fingerprint, backbone.feature_dim) if use_cache else None
    work = _Work(np.zeros((len(dataset), backbone.feature_dim), np.float32), cache)
    with progress_of(len(dataset), "extracting features", progress) as advance:
        try:
            _run(dataset, backbone, fingerprint, batch_size, work, advance)
        finally:
            work.flush()
    return work.finish(dataset)


_Preprocess = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
_FROZEN: WeakKeyDictionary[Backbone, tuple[str, _Preprocess, FrozenNetwork]] = WeakKeyDictionary()


def _frozen_functions(backbone: Backbone, fingerprint: str) -> tuple[_Preprocess, FrozenNetwork]:
    """The backbone's two graphs, made once for each state of its weights."""
    known = _FROZEN.get(backbone)
    if known is None or known[0] != fingerprint:
        strings = tf.TensorSpec([None], tf.string)
        preprocess = tf.function(
            backbone.preprocessor.call, input_signature=[strings]
        ).get_concrete_function()
        known = (fingerprint, preprocess, FrozenNetwork(backbone.network))
        _FROZEN[backbone] = known
    return known[1], known[2]


@dataclass(eq=False)
class _Batch:
    """Examples on their way through the backbone."""

    rows: list[int] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    def add(self, row: int, encoded: bytes, key: bytes) -> None:
        self.rows.append(row)
        self.encoded.append(encoded)
        self.keys.append(key)


@dataclass(eq=False)
class _Work:
    """What one extraction has got so far."""

    features: np.ndarray
    cache: FeatureCache | None
    reasons: dict[int, str] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    first_row: dict[bytes, int] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)
    computed: int = 0

    def take(self, row: int, key: bytes) -> bool:
        """Whether this input needs no computing, because it is cached or a copy of an earlier one."""
        self.keys[row] = key
        if key in self.first_row:
            self.copies.append((row, self.first_row[key]))
            return True
        self.first_row[key] = row
        cached = self.cache.get(key) if self.cache is not None else None
        if cached is not None:
            self.features[row] = cached
        return cached is not None

    def store(self, batch: _Batch, features: np.ndarray, readable: np.ndarray, max_pixels: int) -> None:
        for position, row in enumerate(batch.rows):
            if not readable[position]:
                self.reasons[row] = why_unreadable(batch.encoded[position], max_pixels)
                continue
            self.computed += 1
            self.features[row] = features[position]
            self._keep(batch.keys[position], self.features[row])

    def _keep(self, key: bytes, features: np.ndarray) -> None:
        if self.cache is None:
            return
        try:
            self.cache.put(key, features)
        except OSError as error:
            self._give_up_cache(error)

    def flush(self) -> None:
        if self.cache is None:
            return
        try:
            self.cache.flush()
        except OSError as error:
            self._give_up_cache(error)

    def _give_up_cache(self, error: OSError) -> None:
        self.cache = None
        warnings.warn(f"features are not kept for the next run: {error}", stacklevel=2)

    def finish(self, dataset: Dataset) -> Extraction:
        for row, first in self.copies:
            if first in self.reasons:
                self.reasons[row] = self.reasons[first]
            else:
                self.features[row] = self.features[first]
        rows = np.array([row for row in range(len(dataset)) if row not in self.reasons], np.int64)
        features = self.features if len(rows) == len(dataset) else self.features[rows]
        rejected = tuple(Rejected(dataset.ids[row], self.reasons[row]) for row in sorted(self.reasons))
        digest = hashlib.sha256()
        for row, name in enumerate(dataset.ids):
            digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + self.keys.get(row, b""))
        return Extraction(
            rows, features, rejected, self.computed, len(rows) - self.computed, digest.hexdigest()
        )


def _run(
    dataset: Dataset,
    backbone: Backbone,
    fingerprint: str,
    batch_size: int,
    work: _Work,
    advance: Callable[[int], None],
) -> None:
    """Three stages side by side: reading and decoding in a thread each, and the network in this one."""

    def read(rows: range) -> list[tuple[int, bytes | ReadFailure, bytes]]:
        values = dataset.read(rows)
        keys = [b"" if isinstance(value, ReadFailure) else content_key(value) for value in values]
        return list(zip(rows, values, keys, strict=True))

    def decode(batch: _Batch) -> tuple[_Batch, tf.Tensor, tf.Tensor]:
        # Graphs are made here, when the first batch needs them: a run that finds all in the cache makes none.
        preprocess, _ = _frozen_functions(backbone, fingerprint)
        return batch, *preprocess(tf.constant(batch.encoded))

    starts = range(0, len(dataset), batch_size)
    chunks = map_ahead(read, (range(start, min(start + batch_size, len(dataset))) for start in starts))
    for batch, pixels, readable in map_ahead(decode, _missing_batches(chunks, batch_size, work, advance)):
        _, network = _frozen_functions(backbone, fingerprint)
        features = network(pixels.numpy())
        if not np.isfinite(features).all():
            raise ValueError(f"{backbone.handle} gives features that are not finite: its weights are damaged")
        work.store(batch, features, readable.numpy(), backbone.preprocessor.max_pixels)
        advance(len(batch.rows))


def _missing_batches(
    chunks: Iterator[list[tuple[int, bytes | ReadFailure, bytes]]],
    batch_size: int,
    work: _Work,
    advance: Callable[[int], None],
) -> Iterator[_Batch]:
    """Full batches of what is neither cached nor unreadable, then a last one of the rest."""
    batch = _Batch()
    for chunk in chunks:
        for row, value, key in chunk:
            if isinstance(value, ReadFailure):
                work.reasons[row] = str(value)
                advance(1)
            elif work.take(row, key):
                advance(1)
            else:
                batch.add(row, value, key)
            if len(batch.rows) == batch_size:
                yield batch
                batch = _Batch()
    if batch.rows:
        yield batch
