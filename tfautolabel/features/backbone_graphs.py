"""What a backbone's examples pass through: its preprocessor's graph, and an engine."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from weakref import WeakKeyDictionary, ref

import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.features.engines import ENGINES, Engine, EngineChoice, engine_of
from tfautolabel.features.engines.contract import Preparation


class BackboneGraphs:
    """What prepares examples, and the engine, for one state of a backbone; made when a batch needs them.

    A run that finds everything in the cache makes none. A separate thread makes the engine, so that
    TensorFlow can optimise both graphs at the same time.
    """

    def __init__(self, backbone: Backbone, engine: EngineChoice) -> None:
        # The backbone is the key of these graphs, so a reference to it here would keep it in memory forever.
        self._backbone, self._engine = ref(backbone), engine
        self._made: tuple[Preparation, Future[Engine]] | None = None
        strings = tf.TensorSpec([None], tf.string)
        # Traced when it is first called.
        self.lengths = tf.function(backbone.preprocessor.lengths, input_signature=[strings], autograph=False)
        # A faster way to what the network takes; on a GPU, the network takes pictures of their own size.
        self.outside = backbone.preprocessor.outside_graph() if engine.device == "cpu" else None
        self._lock = threading.Lock()

    @property
    def preprocess(self) -> Preparation:
        """Returns the graph from (n,) string to `Preprocessed`."""
        return self._make()[0]

    @property
    def network(self) -> Engine:
        """Returns what maps the preprocessor's result to (w, d) float32."""
        return self._make()[1].result()

    def _make(self) -> tuple[Preparation, Future[Engine]]:
        with self._lock:
            if self._made is None:
                backbone = self._backbone()
                if backbone is None:
                    raise ReferenceError("the backbone of these graphs is gone")
                preprocess = ENGINES[self._engine.name].prepare(backbone.preprocessor)
                network: Future[Engine] = Future()
                threading.Thread(target=self._make_network, args=[backbone, network], daemon=True).start()
                self._made = preprocess, network
        return self._made

    def _make_network(self, backbone: Backbone, result: Future[Engine]) -> None:
        try:
            network = engine_of(backbone, self._engine.name, self._engine.precision)
            network.warm_up()
        except BaseException as error:
            result.set_exception(error)
        else:
            result.set_result(network)


_GRAPHS: WeakKeyDictionary[Backbone, tuple[str, BackboneGraphs]] = WeakKeyDictionary()


def graphs_of(backbone: Backbone, engine: EngineChoice, key: str) -> BackboneGraphs:
    """Returns the backbone's graphs for an engine, built once for each state of its weights."""
    known = _GRAPHS.get(backbone)
    if known is None or known[0] != engine.name + key:
        known = _GRAPHS[backbone] = engine.name + key, BackboneGraphs(backbone, engine)
    return known[1]
