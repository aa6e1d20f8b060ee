"""The review page's own server in a thread, over made-up features, to be stopped and started again."""

import asyncio
import socket
import threading

import numpy as np
from review_page import examples_of

from tfautolabel.data import Dataset
from tfautolabel.review.application import Application
from tfautolabel.review.background import Background
from tfautolabel.review.desk import Desk
from tfautolabel.review.finding import Finder
from tfautolabel.review.links import Links
from tfautolabel.review.material import Material
from tfautolabel.review.server import build_server, page_settings
from tfautolabel.review.session import Review
from tfautolabel.runs.answers import Answers

CLASSES = ("rust", "clean", "scratch")


class RealServer:
    """A session of three classes that features tell apart; a context manager.

    Args:
        folder: where the answers are.
        modality: "image", "text" or "audio".
        count: number of examples.
        lists: further purposes with their questions.
        port: 0 for a free one.
    """

    def __init__(self, folder, modality="text", count=200, lists=None, port=0):
        examples, rng = examples_of(modality, count), np.random.default_rng(0)
        self.truth = rng.integers(0, len(CLASSES), count)
        features = rng.normal(0, 3, (len(CLASSES), 12))[self.truth] + rng.normal(0, 1, (count, 12))
        dataset = Dataset.from_inputs(list(examples.values()), ids=list(examples), modality=modality)
        material = Material(dataset, features.astype(np.float32), f"{modality}/")
        self.answers = Answers(folder / "answers.sqlite")
        self.review = Review(material, self.answers, classes=CLASSES, lists=lists)
        self._links = Links(self.answers, material.title)
        settings = page_settings(port=port)
        self._socket = socket.create_server((settings.host, port))
        self.port = self._socket.getsockname()[1]
        background = Background(self.review, lambda mode: f"Done: {mode}.")
        finder = Finder(material, self.review.learner)
        desk = Desk(self.review, background, finder, self.link)
        application = Application(desk, self._links, material, folder / "report.html", settings)
        self._server = build_server(application, background, settings)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._socket]))
        )

    def link(self):
        """A link that works once."""
        return f"http://127.0.0.1:{self.port}/?token={self._links.make()}"

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.01)
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(30)
        self._socket.close()
        self.answers.close()

    def stored(self):
        """(item, kind, label) of all events in their order."""
        return [(event.item, event.kind, event.label) for event in self.answers.events()]

    def key_of(self, item):
        """The key of the true class."""
        return str(1 + int(self.truth[self.review.material.row_of[item]]))
