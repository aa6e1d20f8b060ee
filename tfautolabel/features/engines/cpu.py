"""The CPU in float32: parts of a few rows in a session, one thread each."""

from __future__ import annotations

import keras

from tfautolabel._precision import FLOAT32
from tfautolabel.features.engines.contract import Engine, EngineKind, Preparation
from tfautolabel.features.frozen import inference_network
from tfautolabel.preprocessors import Preprocessor
from tfautolabel.preprocessors.graphs import graph_of


def prepared_on_the_host(preprocessor: Preprocessor) -> Preparation:
    """Returns the preprocessor's own graph."""
    return graph_of(preprocessor).get_concrete_function()


def _make(network: keras.Model, preprocessor: Preprocessor, precision: str) -> Engine:  # noqa: ARG001
    return inference_network(network, preprocessor.network_part)


CPU = EngineKind(
    device="cpu",
    precisions=(FLOAT32,),
    missing=lambda: "",
    unfit=lambda network: "",  # noqa: ARG005
    make=_make,
    prepare=prepared_on_the_host,
    least_cosine={FLOAT32: 0.99999},
    most_difference={FLOAT32: 1e-4},
)
