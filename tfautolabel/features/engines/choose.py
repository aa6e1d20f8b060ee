"""Chooses the engine for a backbone: the fastest one that is here and computes the right features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfautolabel._errors import named
from tfautolabel._precision import AUTO, FLOAT32, check_device_and_precision
from tfautolabel.backbones.backbone import Backbone, run_network
from tfautolabel.features.engines.bf16 import ONEDNN_BF16
from tfautolabel.features.engines.contract import Engine, EngineChoice, EngineKind
from tfautolabel.features.engines.cpu import CPU
from tfautolabel.features.engines.gpu import GPU

ENGINES: dict[str, EngineKind] = {"gpu": GPU, "cpu": CPU, "bf16": ONEDNN_BF16}
"""Engines by name, in the order in which they are tried. A new engine is one entry."""

_MADE: WeakKeyDictionary[Backbone, _Made] = WeakKeyDictionary()


@dataclass
class _Made:
    """What was made and found out for one state of a backbone's weights."""

    fingerprint: str
    choices: dict[tuple[str, str], EngineChoice] = field(default_factory=dict)
    engines: dict[tuple[str, str], Engine] = field(default_factory=dict)


def _made(backbone: Backbone) -> _Made:
    known, fingerprint = _MADE.get(backbone), backbone.fingerprint
    if known is None or known.fingerprint != fingerprint:
        known = _MADE[backbone] = _Made(fingerprint)
    return known


def choose_engine(backbone: Backbone, device: str = AUTO, precision: str = AUTO) -> EngineChoice:
    """Returns the engine for a backbone.

    By default that is a GPU if TensorFlow sees one, and else the CPU in float32. An engine other than that is
    used only if it gives the features of the Keras network, up to its precision, for the recorded examples of
    the preprocessor. A CPU never computes in less than float32 unless that is asked for.

    Args:
        backbone: the feature extractor.
        device: "auto", "cpu" or "gpu".
        precision: "auto", "float32", "bf16" (on a CPU) or "float16" (on a GPU).

    Raises:
        ValueError: If what is asked for is not valid, is not here, or fails that check.
    """
    check_here(device, precision)
    known = _made(backbone).choices
    if (device, precision) not in known:
        known[device, precision] = _choose(backbone, device, precision)
    return known[device, precision]


def check_here(device: str, precision: str) -> None:
    """Refuses what no backbone can have on this machine, before anything is computed.

    Raises:
        ValueError: If it is not valid, or not here.
    """
    check_device_and_precision(device, precision)
    missing = [ENGINES[name].missing() for name, _ in _candidates(device, precision)]
    if all(missing):
        raise ValueError(
            f"device={device!r}, precision={precision!r} cannot be used: {'; '.join(dict.fromkeys(missing))}"
        )


def _choose(backbone: Backbone, device: str, precision: str) -> EngineChoice:
    refused: list[str] = []
    for name, own in _candidates(device, precision):
        kind = ENGINES[name]
        why_not = kind.missing() or kind.unfit(backbone.network) or _why_wrong(backbone, name, own)
        if not why_not:
            remark = "" if kind is CPU else engine_of(backbone, name, own).remark()
            reasons = [*refused, _asked_for(device, precision, refused), remark]
            why = "; ".join(dict.fromkeys(filter(None, reasons)))
            return EngineChoice(name, kind.device, own, why)
        refused.append(why_not)
    raise ValueError(
        f"device={device!r}, precision={precision!r} cannot be used with {backbone.handle}: "
        f"{'; '.join(dict.fromkeys(refused))}"
    )


def _candidates(device: str, precision: str) -> Iterator[tuple[str, str]]:
    """Yields engines and precisions, the fastest first."""
    for name, kind in ENGINES.items():
        for own in kind.precisions:
            # On a CPU float32 is what nobody has to ask for.
            usual = FLOAT32 if kind.device == "cpu" else own
            if device in (AUTO, kind.device) and own == (usual if precision == AUTO else precision):
                yield name, own


def _asked_for(device: str, precision: str, refused: list[str]) -> str:
    """Returns that somebody asked for it, or that nothing faster was refused."""
    asked = [f"device={device}"] if device != AUTO else []
    asked += [f"precision={precision}"] if precision != AUTO else []
    if not asked:
        return "" if refused else "it is the fastest that is here"
    return f"that was asked for ({', '.join(asked)})"


def engine_of(backbone: Backbone, name: str, precision: str) -> Engine:
    """Returns the engine of a backbone, made once for each state of its weights."""
    known = _made(backbone).engines
    if (name, precision) not in known:
        known[name, precision] = ENGINES[name].make(backbone.network, backbone.preprocessor, precision)
    return known[name, precision]


def _why_wrong(backbone: Backbone, name: str, precision: str) -> str:
    """Returns why an engine's features are not the network's, or ""; the network's own way is not checked."""
    kind = ENGINES[name]
    if kind is CPU:
        return ""
    try:
        engine = engine_of(backbone, name, precision)
        examples = tf.constant(backbone.preprocessor.recorded_examples())
        ready = kind.prepare(backbone.preprocessor)(examples)
        inputs = [tensor.numpy() for tensor in ready.inputs]
        if shortfall := engine.shortfall(*inputs):
            return shortfall
        cosine = _least_cosine(backbone, examples, engine(*inputs))
    except (tf.errors.OpError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        return f"the {kind.device.upper()} cannot run it in {precision} ({named(error)})"
    if cosine >= kind.least_cosine[precision]:
        return ""
    return (
        f"{precision} moves its features too far: the cosine to the right ones is {cosine:.4f}, at least "
        f"{kind.least_cosine[precision]} is needed"
    )


def _least_cosine(backbone: Backbone, examples: tf.Tensor, found: np.ndarray) -> float:
    """Returns the least cosine of (w, d) features to the Keras network's; nan if one is not finite."""
    ready = backbone.prepare(examples)
    with tf.device("/CPU:0"):  # a GPU may round float32 to 10 bits where it multiplies
        right = np.asarray(run_network(backbone.network, ready.inputs), np.float64)
    readable = ready.readable.numpy()[ready.example.numpy()]
    right, got = right[readable], found.astype(np.float64)[readable]
    with np.errstate(invalid="ignore", divide="ignore"):  # features that are not finite
        lengths = np.linalg.norm(right, axis=1) * np.linalg.norm(got, axis=1)
        return float(np.min(np.sum(right * got, axis=1) / lengths))
