"""Says what this machine has, what of it is used, and why not more."""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tfautolabel._cache import cache_dir
from tfautolabel._cores import granted_cores
from tfautolabel._cpu import why_bf16_is_slow
from tfautolabel._gpus import visible_gpus, why_none_visible
from tfautolabel._optional import MODULES, is_installed
from tfautolabel.data.modality import PLURALS

if TYPE_CHECKING:
    from tfautolabel.features.engines import EngineChoice

LIBRARIES = ("tfautolabel", "tensorflow", "keras", "numpy", "scikit-learn", "pyarrow")
MEASURED = ("efficientnet-lite0", "minilm-l6", "speech-embedding")
"""The backbones that are measured, as far as their weights are there: one of each modality."""

SECONDS = 1.0
"""How long each of them runs."""

ROWS, TOKENS, SIDE = 32, 30, 256
"""The size of a measured batch on a CPU, of its texts in words, and of its pictures in pixels."""


class Fact(NamedTuple):
    """One line of what `examine` finds.

    Attributes:
        name: what it is about.
        value: what was found.
        why: why it is not more, and what to do about it; empty if there is nothing to say.
    """

    name: str
    value: str
    why: str = ""


def examine(measure: bool = True) -> Iterator[Fact]:
    """Yields what is found, the quick things first.

    Args:
        measure: whether to run backbones whose weights are there, `SECONDS` each.
    """
    yield Fact("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    for name in LIBRARIES:
        yield Fact(name, importlib.metadata.version(name))
    yield Fact("extras", ", ".join(sorted(filter(is_installed, MODULES))) or "none", _missing_extras())
    yield _cores()
    yield _jpegs()
    yield _cache()
    yield _gpus()
    yield _bf16()
    yield _engine()
    if measure:
        yield from _speeds()


def why_fewer_cores(machine: int, granted: int, affinity: int, limit: str | None) -> str:
    """Returns why a process may not use all cores of its machine, or "".

    Args:
        machine: the cores that the machine has.
        granted: the cores that the process may use.
        affinity: the cores that its affinity allows.
        limit: the value of LOKY_MAX_CPU_COUNT.
    """
    if granted >= machine:
        return ""
    if limit is not None and limit.strip() == str(granted):
        return "LOKY_MAX_CPU_COUNT says so"
    if affinity == granted:
        return "the affinity of this process allows no more (taskset, Slurm)"
    return "the quota of its control group allows no more (Docker, Kubernetes)"


def _missing_extras() -> str:
    missing = sorted(name for name in MODULES if not is_installed(name))
    return f'not installed: {", ".join(missing)} (pip install "tfautolabel[NAME]")' if missing else ""


def _cores() -> Fact:
    machine, granted = os.cpu_count() or 1, granted_cores()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    why = why_fewer_cores(machine, granted, affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))
    return Fact("cores", f"{granted} of {machine} are used", why)


def _jpegs() -> Fact:
    from tfautolabel.preprocessors.pictures.plain_jpeg import is_installed as has_decoder

    if has_decoder():
        return Fact(
            "JPEG files", "plain ones are decoded by libjpeg-turbo, beside TensorFlow, for an engine on a CPU"
        )
    why = 'pip install "tfautolabel[fast]" prepares them in 5 to 44 % less processor time, to the same bits'
    return Fact("JPEG files", "decoded by TensorFlow", why)


def _cache() -> Fact:
    folder = cache_dir()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 2**30
    why = "" if os.access(there, os.W_OK) else "it cannot be written: set TFAUTOLABEL_CACHE to another folder"
    return Fact("cache", f"{folder}, {free:,.0f} GiB free", why)


def _gpus() -> Fact:
    import tensorflow as tf

    if not visible_gpus():
        return Fact("GPU", "none is used", why_none_visible())
    found = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in found]
    return Fact("GPU", f"{', '.join(names)}: used")


def _bf16() -> Fact:
    why = why_bf16_is_slow()
    return Fact("bf16", "not worth it on the CPU" if why else "the CPU has it: --precision bf16", why)


def _engine() -> Fact:
    if visible_gpus():
        return Fact("engine", "GPU in float16", "float32 where float16 moves a backbone's features too far")
    return Fact("engine", "CPU in float32", "there is no GPU, and less than float32 must be asked for")


def _speeds() -> Iterator[Fact]:
    from tfautolabel.backbones.packaged import PACKAGED

    for name in MEASURED:
        if not PACKAGED[name].is_cached():
            why = f"its weights are not there (tfautolabel backbones fetch {name})"
            yield Fact(name, "not measured", why)
            continue
        rate, engine = _rate(name)
        many, where = PLURALS[PACKAGED[name].modality], f"the {engine.device.upper()} in {engine.precision}"
        yield Fact(name, f"{rate:,.0f} {many} a second on {where}, network alone")


def _rate(name: str) -> tuple[float, EngineChoice]:
    """Returns the examples a second of the engine that a run would use, and the engine."""
    import tensorflow as tf

    from tfautolabel._ahead import map_ahead
    from tfautolabel.backbones import load_backbone
    from tfautolabel.features.engines import ENGINES, choose_engine, engine_of

    backbone = load_backbone(f"packaged:{name}")
    choice = choose_engine(backbone)
    kind, run = ENGINES[choice.name], engine_of(backbone, choice.name, choice.precision)
    rows, parallel = ROWS * kind.batches, kind.parallel()
    ready = kind.prepare(backbone.preprocessor)(tf.constant([_example(backbone.modality)] * rows))
    batch = [tensor.numpy() for tensor in ready.inputs]
    run(*batch)
    start = time.perf_counter()

    def until_the_end() -> Iterator[int]:
        while time.perf_counter() - start < SECONDS:
            yield rows

    def compute(rows: int) -> int:
        run(*batch)
        return rows

    done = sum(map_ahead(compute, until_the_end(), threads=parallel, ahead=parallel - 1))
    return done / (time.perf_counter() - start), choice


def _example(modality: str) -> bytes:
    """Returns an example of an ordinary size: a picture, a text of `TOKENS` words, or a second of sound."""
    import numpy as np

    if modality == "text":
        return b"word " * TOKENS
    if modality == "audio":
        from tfautolabel.preprocessors.sounds.wave import wav_bytes

        return wav_bytes(np.sin(np.arange(16_000) / 10), 16_000)
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "teal").save(picture, "JPEG")
    return picture.getvalue()
