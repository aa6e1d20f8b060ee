"""The CPU in bf16: the session of `FrozenNetwork`, whose graph TensorFlow rewrites.

bf16 has float32's range with 8 bits of precision instead of 24. Kernels of oneDNN multiply in bf16 and add in
float32. CPUs with avx512_bf16 or AMX do that faster than float32; others with AVX-512 do it slower, with the
same results.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._cpu import why_bf16_is_slow
from tfautolabel._precision import BF16
from tfautolabel.features.engines.contract import Engine, EngineKind
from tfautolabel.features.engines.cpu import prepared_on_the_host
from tfautolabel.features.frozen import FrozenNetwork, takes_strings
from tfautolabel.preprocessors import Preprocessor

_ON = 1
"""`RewriterConfig.ON` of tensorflow/core/protobuf/rewriter_config.proto."""


class Bf16Network(FrozenNetwork):
    """A frozen network whose convolutions and matrix products are computed in bf16 on the CPU."""

    def configure(self, config: tf.compat.v1.ConfigProto) -> None:
        """Has TensorFlow's graph optimizer put bf16 into the graph."""
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = _ON

    def shortfall(self, *inputs: np.ndarray) -> str:
        """Returns a reason if nothing in the graph that ran is in bf16.

        TensorFlow leaves the graph as it is, and says nothing, on a CPU that lacks the kernels.
        """
        self(*inputs)
        if self.session is not None and _in_bf16(self.session.graph_that_runs(*inputs)):
            return ""
        return "TensorFlow has no bf16 on this CPU for this network: AVX-512 or newer is needed"

    def remark(self) -> str:
        """Says so if bf16 is slower than float32 here."""
        return why_bf16_is_slow()


def _in_bf16(graphs: list[tf.compat.v1.GraphDef]) -> bool:
    kind = tf.bfloat16.as_datatype_enum
    return any(node.attr["T"].type == kind for graph in graphs for node in graph.node if node.op != "Cast")


def _unfit(network: keras.Model) -> str:
    if takes_strings(network):
        return "its network takes strings, so TensorFlow cannot rewrite its graph for bf16"
    return ""


def _make(network: keras.Model, preprocessor: Preprocessor, precision: str) -> Engine:  # noqa: ARG001
    return Bf16Network(network, preprocessor.network_part)


# The limits were chosen on recorded examples of packaged backbones (cosines of .990, .99982 and .9936) and
# on two sets of `benchmarks/engines.py` (differences of .009 and .003).
ONEDNN_BF16 = EngineKind(
    device="cpu",
    precisions=(BF16,),
    missing=lambda: "",
    unfit=_unfit,
    make=_make,
    prepare=prepared_on_the_host,
    least_cosine={BF16: 0.95},
    most_difference={BF16: 0.1},
)
