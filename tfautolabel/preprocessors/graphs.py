"""Preprocessors as graphs, which equal ones share in a process."""

from __future__ import annotations

import functools
import json
from typing import Protocol

import tensorflow as tf

from tfautolabel.preprocessors.contract import Preprocessed, Preprocessor

_KEPT = 16
"""Graphs that stay in memory, each of a few megabytes."""


class ConcretePreprocessor(Protocol):
    """A traced graph from (n,) strings to a `Preprocessed`, with the shapes and types of what it gives."""

    structured_outputs: Preprocessed

    def __call__(self, examples: tf.Tensor) -> Preprocessed:
        """Prepares examples for the network."""


class PreprocessorGraph(Protocol):
    """A `tf.function` that traces one such graph when it is first needed."""

    def __call__(self, examples: tf.Tensor) -> Preprocessed:
        """Prepares examples for the network."""

    def get_concrete_function(self) -> ConcretePreprocessor:
        """Returns its only graph."""


def graph_of(preprocessor: Preprocessor) -> PreprocessorGraph:
    """Returns `call` as a `tf.function` of (n,) strings with one graph for any n.

    TensorFlow needs about a second for a graph that decodes pictures or sounds when it first runs it. So
    preprocessors of one class with one configuration share it, unless they need files.
    """
    if type(preprocessor).save_assets is not Preprocessor.save_assets:
        return _traced(preprocessor)
    config = preprocessor.get_config()
    config.pop("name")
    return _shared(type(preprocessor), json.dumps(config, sort_keys=True))


@functools.lru_cache(maxsize=_KEPT)
def _shared(kind: type[Preprocessor], config: str) -> PreprocessorGraph:
    return _traced(kind.from_config(json.loads(config)))


def runs_alone(preprocessor: Preprocessor, kind: type[Preprocessor]) -> bool:
    """Returns whether `kind.call` runs outside of any graph, so that it may run the graph of `graph_of`.

    The graph is that of the whole `call`. So a subclass that extends it runs its own way.
    """
    alone = tf.executing_eagerly() and not tf.config.functions_run_eagerly()
    return bool(alone and type(preprocessor) is kind)


def _traced(preprocessor: Preprocessor) -> PreprocessorGraph:
    traced: PreprocessorGraph = tf.function(
        preprocessor.call, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    return traced
