"""Puts float16 into a network's graph, where it pays off and is safe.

Convolutions and matrix products take nearly all of the time, and multiply in float16 while they add in
float32. Everything else stays float32: norms and softmax, whose sums leave float16's range, cost little, and
XLA fuses the casts into them. Micikevicius et al. 2018, arXiv 1710.03740, call this mixed precision.
"""

from __future__ import annotations

import tensorflow as tf

HEAVY = ("Conv2D", "DepthwiseConv2dNative", "Conv3D", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum")
"""Operations that are computed in float16; all of their inputs and outputs have the type `T`."""

_FLOAT = tf.float32.as_datatype_enum
_HALF = tf.float16.as_datatype_enum


def in_float16(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Returns a copy of a graph with casts around its heavy operations, whose names now give float32 still.

    Args:
        graph: what `FrozenNetwork.graph` holds. Functions in it, such as bodies of loops, are not changed.
    """
    lowered = tf.compat.v1.GraphDef()
    lowered.CopyFrom(graph)
    del lowered.node[:]
    for node in graph.node:
        if node.op not in HEAVY or node.attr["T"].type != _FLOAT:
            lowered.node.add().CopyFrom(node)
            continue
        heavy = lowered.node.add()
        heavy.CopyFrom(node)
        heavy.name = f"{node.name}/in_float16"
        heavy.attr["T"].type = _HALF
        for place, source in enumerate(node.input):
            if not source.startswith("^"):  # not a control input, which carries no values
                heavy.input[place] = _add_cast(lowered, f"{heavy.name}/input_{place}", source, _FLOAT, _HALF)
        _add_cast(lowered, node.name, heavy.name, _HALF, _FLOAT)
    return lowered


def _add_cast(graph: tf.compat.v1.GraphDef, name: str, source: str, old: int, new: int) -> str:
    cast = graph.node.add(name=name, op="Cast", input=[source])
    cast.attr["SrcT"].type, cast.attr["DstT"].type = old, new
    return name
