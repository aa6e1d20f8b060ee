"""Small models for the server, and a server in a thread of its own to ask."""

import asyncio
import http.client
import json
import socket
import threading

import tensorflow as tf

from tfautolabel.serving.metrics import Metrics
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.places import find_places
from tfautolabel.serving.server import build_server
from tfautolabel.serving.settings import Settings


class Sums(tf.Module):
    """Signatures of every kind: one input, several, strings, no rows, a failure."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(float(factor))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")], autograph=False)
    def one(self, x):
        return {"y": self.factor * tf.reduce_sum(x, axis=1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.int32, name="times"),
            tf.TensorSpec([None], tf.bool, name="upper"),
        ],
        autograph=False,
    )
    def several(self, text, times, upper):
        raised = tf.where(upper, tf.strings.upper(text), text)
        return {
            "text": raised,
            "raw_bytes": text,
            "length": tf.cast(tf.strings.length(text), tf.int64),
            "times": times * 2,
            "upper": tf.logical_not(upper),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def total(self, x):
        return {"total": tf.reduce_sum(x), "x": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def centred(self, x):
        return {"y": x - tf.reduce_mean(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def told(self, x):
        return {"text": tf.strings.as_string(tf.reduce_sum(tf.cast(x, tf.int32)))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def picky(self, x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="x must be below ten")]):
            return {"root": tf.sqrt(x)}


def save_sums(folder, factor=1.0):
    """A SavedModel without labeler.json."""
    module = Sums(factor)
    names = {"serving_default": module.one, "several": module.several, "total": module.total}
    names |= {"centred": module.centred, "told": module.told}
    tf.saved_model.save(module, str(folder), signatures=names | {"picky": module.picky})
    return folder


class Running:
    """A server at a free port; a context manager. Given models are loaded as the server begins.

    With `grpc`, it answers gRPC at `grpc_port` too.
    """

    def __init__(self, *paths, models=None, grpc=False, **settings):
        settings = Settings(**{"port": 0, "poll": 0.1, "timeout": 10, **settings})
        settings.check()
        metrics = Metrics()
        self.models = models
        if models is None:
            self.models = ServedModels(
                find_places([str(path) for path in paths]), keep=settings.keep, on_change=metrics.set_versions
            )
            self.models.refresh(at_once=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.grpc_port = free.getsockname()[1] if grpc else None
        grpc_at = ("127.0.0.1", self.grpc_port) if grpc else None
        self._server = build_server(self.models, metrics, settings, grpc_at=grpc_at)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._socket]))
        )

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.01)
        return self

    def __exit__(self, *exception):
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(30)
        self._socket.close()

    def join(self, seconds):
        """Waits for a server that stops by itself."""
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def ask(self, method, path, body=None, headers=None):
        """Status, JSON (or text) and headers of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if isinstance(body, dict | list):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return (
                answer.status,
                json.loads(content) if is_json and method != "HEAD" else content.decode(),
                answer.headers,
            )
        finally:
            connection.close()

    def predict(self, body, model="sums", version=""):
        status, answer, _ = self.ask("POST", f"/v1/models/{model}{version}:predict", body)
        return status, answer
