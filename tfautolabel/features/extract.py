"""Computes Z = f(X), the features of every example in a data set."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._ahead import map_ahead
from tfautolabel._cache import cache_dir as default_cache_dir
from tfautolabel._cores import granted_cores
from tfautolabel._forks import refuse_after_fork
from tfautolabel._precision import AUTO, FLOAT32
from tfautolabel._progress import progress_of
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset, ReadFailure, Unreadable
from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.made_readable import reads_alike
from tfautolabel.data.row_groups import MAX_WAITING, open_ahead, read_ahead
from tfautolabel.features.backbone_graphs import graphs_of
from tfautolabel.features.batches import Example, cut, even_batches
from tfautolabel.features.cache import FeatureCache, content_key
from tfautolabel.features.engines import ENGINES, choose_engine
from tfautolabel.features.long_clips import LongClip
from tfautolabel.features.prepared import (
    Computed,
    Finish,
    Prepared,
    Ready,
    Step,
    expected_bytes,
    fixed_bytes,
    prepare,
    preparing_threads,
)


@dataclass(frozen=True, eq=False)
class Extraction:
    """The features of the examples that could be read, out of n.

    Attributes:
        rows: (m,) int64, ascending, the rows of the data set that were read, m <= n.
        features: (m, d) float32, one row per example.
        unreadable: the other n - m examples with the reasons, in the order of the data set.
        computed: number of examples that the backbone processed.
        reused: number of examples that were in the cache or were copies of another example.
        shortened: number of examples that were longer than the backbone's input, so that their ends are
            ignored.
        digest: 64 hexadecimal digits that change with the ids or the contents of the data set.
        contents: hashes of all n examples, as `tfautolabel.data.Learnt` takes them. None if they were not
            computed, or if sound was read only for this backbone.
        arithmetic: what computed the features; a head is used only with features of the same.
    """

    rows: np.ndarray
    features: np.ndarray
    unreadable: tuple[Unreadable, ...]
    computed: int
    reused: int
    shortened: int
    digest: str
    contents: tuple[str, ...] | None = None
    arithmetic: str = FLOAT32


def extract_features(
    dataset: Dataset,
    backbone: Backbone,
    *,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
    use_cache: bool = True,
    progress: bool = True,
    device: str = AUTO,
    precision: str = AUTO,
) -> Extraction:
    """Computes the features of every example once with the frozen backbone, or takes them from the cache.

    Other threads read and decode files while the network works; more of them if the process may use more
    cores. An interrupted call keeps its computed features in the cache. An example that cannot be read is set
    aside with the reason.

    Args:
        dataset: n examples of the backbone's modality.
        backbone: the feature extractor.
        batch_size: examples in one forward pass.
        cache_dir: the folder for features, by default `features/` in the package's cache.
        use_cache: False to compute everything and store nothing.
        progress: whether to show a progress bar if standard error is a terminal.
        device: "auto", "cpu" or "gpu", as for `choose_engine`.
        precision: "auto", "float32", "bf16" or "float16", as for `choose_engine`.

    Returns:
        The features and the unreadable examples.

    Raises:
        ValueError: If the modality does not fit, `batch_size` is not positive, the device or the precision
            cannot be used, or the backbone gives features that are not finite.
    """
    extractor = FeatureExtractor(
        backbone, batch_size=batch_size, cache_dir=cache_dir, use_cache=use_cache, device=device,
        precision=precision,
    )  # fmt: skip
    with progress_of(len(dataset), "extracting features", progress) as advance:
        return extractor.extract(dataset, advance)


class FeatureExtractor:
    """A backbone with its open cache, for one data set after another.

    The backbone's weights must not change while it is in use.

    Args:
        backbone: the feature extractor.
        batch_size: examples in one forward pass.
        cache_dir: the folder for features, by default `features/` in the package's cache.
        use_cache: False to compute everything and store nothing.
        device: as for `choose_engine`, like `precision`.
        precision: see above.
        cache_whole: whether features go into the cache only when a whole data set is done, or is interrupted.

    Attributes:
        engine: the engine that computes the features.

    Raises:
        ValueError: If `batch_size` is not positive, or the device or the precision cannot be used.
        RuntimeError: In a process that was forked after TensorFlow was used.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        batch_size: int = 32,
        cache_dir: str | os.PathLike[str] | None = None,
        use_cache: bool = True,
        device: str = AUTO,
        precision: str = AUTO,
        cache_whole: bool = False,
    ) -> None:
        refuse_after_fork()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
        self.backbone = backbone
        self.engine = choose_engine(backbone, device, precision)
        kind = ENGINES[self.engine.name]
        self._batch_size, self._parallel = batch_size * kind.batches, kind.parallel()
        key = self.engine.key(backbone.fingerprint)
        self._graphs = graphs_of(backbone, self.engine, key)
        folder = Path(cache_dir) if cache_dir is not None else default_cache_dir() / "features"
        self._cache = FeatureCache(folder, key, backbone.feature_dim, cache_whole) if use_cache else None

    def extract(self, dataset: Dataset, advance: Callable[[int], None] = lambda _: None) -> Extraction:
        """Returns the features of a data set; see `extract_features`.

        Args:
            dataset: n examples of the backbone's modality.
            advance: called with the number of newly finished examples.

        Raises:
            ValueError: If the modality does not fit, or the backbone gives features that are not finite.
        """
        backbone = self.backbone
        if dataset.modality != backbone.modality:
            raise ValueError(
                f"{backbone.handle} takes {backbone.modality} data. "
                f"Received: data of modality {dataset.modality}"
            )
        empty = np.zeros((len(dataset), backbone.feature_dim), np.float32)
        work = _Work(empty, self._cache, self.engine.precision)
        try:
            self._run(dataset, work, advance)
        finally:
            work.flush()
            self._cache = work.cache
        found = replace(work.finish(dataset), arithmetic=self.engine.arithmetic)
        alike = reads_alike(dataset.modality, backbone.preprocessor.sample_rate)
        return replace(found, contents=work.contents(len(dataset))) if alike else found

    def _run(self, dataset: Dataset, work: _Work, advance: Callable[[int], None]) -> None:
        """Runs three stages in parallel: reading, decoding and the network, in threads of their own."""
        preprocessor, parallel = self.backbone.preprocessor, self._parallel
        ahead = open_ahead if preprocessor.takes_long else read_ahead
        chunks = ahead(dataset, self._batch_size, preprocessor.sample_rate, content_key)
        missing = work.missing(chunks, advance)
        lengths = self._lengths if preprocessor.varying_length else None
        batches = even_batches(missing, self._batch_size, preprocessor.max_batch_bytes, lengths)
        threads = preparing_threads(granted_cores())
        prepared = map_ahead(
            lambda step: step.make(),
            self._steps(batches),
            threads=threads,
            ahead=max(2, threads),
            size=lambda ready: ready.size(),
            guess=lambda step: step.guess,
            most=MAX_WAITING,
        )
        for finish in map_ahead(self._compute, prepared, threads=parallel, ahead=parallel - 1):
            if (computed := finish()) is None:
                continue
            finite = np.isfinite(computed.features).any() or not computed.readable.any()
            if not work.computed and not finite:
                why = work.in_less_than_float32 or ": its weights are damaged"
                raise ValueError(f"{self.backbone.handle} gives features that are not finite{why}")
            work.store(computed, preprocessor.why_unreadable)
            advance(len(computed.examples))

    def _steps(self, batches: Iterator[list[Example]]) -> Iterator[Step]:
        """Yields one step for each batch, and for a long clip one for each group of its windows."""
        each = fixed_bytes(self.backbone.network)
        for batch in batches:
            if (sound := batch[0].long) is not None:
                clip = LongClip(batch[0], sound, self.backbone.preprocessor)
                for _ in range(len(clip)):
                    yield Step(clip.prepare, clip.group_bytes)
            else:
                yield Step(partial(self._prepare, batch), expected_bytes(batch, each))
            del batch  # it must not stay in memory while the next one is read

    def _prepare(self, examples: list[Example]) -> Prepared:
        return prepare(examples, self._graphs.preprocess, self._graphs.outside)

    def _compute(self, ready: Ready) -> Finish:
        return ready.computed(self._graphs.network)

    def _lengths(self, examples: list[Example]) -> list[int]:
        held = [example for example in examples if example.long is None]
        parts = cut(held, len(examples), self.backbone.preprocessor.max_batch_bytes)
        encoded = (tf.constant([example.encoded for example in part]) for part in parts)
        known = iter(length for texts in encoded for length in self._graphs.lengths(texts).numpy().tolist())
        return [next(known) if example.long is None else example.size for example in examples]


@dataclass(eq=False)
class _Work:
    """The state of one extraction."""

    features: np.ndarray
    cache: FeatureCache | None
    precision: str = FLOAT32
    reasons: dict[int, str] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    first_row: dict[bytes, int] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)
    shortened: set[int] = field(default_factory=set)
    computed: int = 0

    def missing(
        self,
        chunks: Iterator[list[tuple[int, Any, bytes]]],
        advance: Callable[[int], None],
    ) -> Iterator[Example]:
        """Yields the examples that are not cached, can be read, and are not copies of an earlier one."""
        for chunk in chunks:
            for row, value, key in chunk:
                if isinstance(value, ReadFailure):
                    self.reasons[row] = str(value)
                elif not self._take(row, key):
                    is_long = isinstance(value, LongSound)
                    yield Example(row, b"", key, value) if is_long else Example(row, value, key)
                    continue
                advance(1)
            del chunk, value  # these must not stay in memory while the next ones are read

    def _take(self, row: int, key: bytes) -> bool:
        """Returns whether an input needs no computation, because it is cached or a copy of an earlier one."""
        self.keys[row] = key
        if key in self.first_row:
            self.copies.append((row, self.first_row[key]))
            return True
        self.first_row[key] = row
        cached = self.cache.get(key) if self.cache is not None else None
        if cached is None:
            return False
        self.features[row] = cached.features
        if cached.shortened:
            self.shortened.add(row)
        return True

    def store(self, computed: Computed, why_unreadable: Callable[[bytes], str]) -> None:
        """Stores the network's result for some examples."""
        features = computed.features
        for position, example in enumerate(computed.examples):
            if not computed.readable[position]:
                self.reasons[example.row] = computed.reason or why_unreadable(example.encoded)
                continue
            if not np.isfinite(features[position]).all():
                self.reasons[example.row] = f"its features are not finite{self.in_less_than_float32}"
                continue
            self.computed += 1
            self.features[example.row] = features[position]
            shortened = bool(computed.shortened[position])
            if shortened:
                self.shortened.add(example.row)
            self._keep(example.key, features[position], shortened)

    @property
    def in_less_than_float32(self) -> str:
        """What may help where features are not finite, behind these words; "" in float32."""
        if self.precision == FLOAT32:
            return ""
        return f" in {self.precision}: --precision float32 may compute them"

    def _keep(self, key: bytes, features: np.ndarray, shortened: bool) -> None:
        if self.cache is None:
            return
        try:
            self.cache.put(key, features, shortened)
        except OSError as error:
            self._give_up_cache(error)

    def flush(self) -> None:
        """Writes the waiting rows of the cache."""
        if self.cache is None:
            return
        try:
            self.cache.flush()
        except OSError as error:
            self._give_up_cache(error)

    def _give_up_cache(self, error: OSError) -> None:
        self.cache = None
        warnings.warn(f"features are not kept for the next run: {error}", stacklevel=2)

    def contents(self, count: int) -> tuple[str, ...]:
        """Returns the hash of each of `count` rows, or "" for a row that could not be read."""
        return tuple(self.keys.get(row, b"").hex() for row in range(count))

    def finish(self, dataset: Dataset) -> Extraction:
        """Returns the extraction after every row is done."""
        for row, first in self.copies:
            if first in self.reasons:
                self.reasons[row] = self.reasons[first]
            else:
                self.features[row] = self.features[first]
                if first in self.shortened:
                    self.shortened.add(row)
        rows = np.array([row for row in range(len(dataset)) if row not in self.reasons], np.int64)
        return Extraction(
            rows=rows,
            features=self.features if len(rows) == len(dataset) else self.features[rows],
            unreadable=tuple(Unreadable(dataset.ids[row], self.reasons[row]) for row in sorted(self.reasons)),
            computed=self.computed,
            reused=len(rows) - self.computed,
            shortened=len(self.shortened),
            digest=_digest(dataset, self.keys),
        )


def _digest(dataset: Dataset, keys: dict[int, bytes]) -> str:
    digest = hashlib.sha256()
    for row, name in enumerate(dataset.ids):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + keys.get(row, b""))
    return digest.hexdigest()
