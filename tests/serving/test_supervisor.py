"""Processes that begin together, are replaced and end together; stand-ins without a model take part."""

import logging
import os
import signal
import socket
import threading
import time

import pytest
import stand_in_workers

from tfautolabel.serving.news import News
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.supervisor import serve_in_workers

TWO = Settings(port=0, workers=2, grace=5)


class Said(logging.Handler):
    """What the supervisor logs; a context manager."""

    def __init__(self):
        super().__init__()
        self.records = []
        self._log = logging.getLogger("tfautolabel.serving")

    def emit(self, record):
        self.records.append(record)

    def __enter__(self):
        self._log.addHandler(self)
        self._level = self._log.level
        self._log.setLevel(logging.INFO)
        return self

    def __exit__(self, *exception):
        self._log.removeHandler(self)
        self._log.setLevel(self._level)

    @property
    def messages(self):
        return [record.msg for record in self.records]

    def wait(self, message, count=1):
        until = time.monotonic() + 60
        while self.messages.count(message) < count:
            assert time.monotonic() < until, self.messages
            time.sleep(0.01)
        return [record for record in self.records if record.msg == message][count - 1]


def serve_while(act, number=signal.SIGTERM):
    """Serves with stand-ins, acts in a thread, stops the server by a signal; what was said and found."""
    found = {}
    with Said() as said:

        def run():
            try:
                found["value"] = act(said)
            except BaseException as error:
                found["error"] = error
            os.kill(os.getpid(), number)

        thread = threading.Thread(target=run)
        thread.start()
        serve_in_workers([], TWO, work=stand_in_workers.answer)
        thread.join()
    if "error" in found:
        raise found["error"]
    return said, found["value"]


def asked(port):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        return int(connection.recv(100))


def test_workers_begin_together_are_replaced_and_end_together():
    def act(said):
        serving = said.wait("serving")
        pids = set(serving.workers)
        while pids != {asked(serving.port) for _ in range(20)}:
            pass
        first = serving.workers[0]
        os.kill(first, signal.SIGKILL)
        ended = said.wait("worker ended")
        assert (ended.worker, ended.pid, ended.signal, ended.starts_in) == (1, first, "SIGKILL", 0.0)
        again = said.wait("worker serves")
        assert again.worker == 1
        pids = {serving.workers[1], again.pid}
        while pids != {asked(serving.port) for _ in range(20)}:
            pass
        # One that ends again soon is not started again at once.
        os.kill(again.pid, signal.SIGTERM)
        assert said.wait("worker ended", 2).starts_in == 1.0
        return pids

    said, pids = serve_while(act)
    assert said.messages == [
        *("version refused", "version served", "serving"),
        *("worker ended", "worker serves", "worker ended", "stopped"),
    ]
    refused, served = said.records[:2]
    assert (refused.version, refused.error, served.version) == (2, "it is broken", 1)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_interrupting_it_while_it_begins_ends_it():
    said, _ = serve_while(lambda said: said.wait("version refused"), signal.SIGINT)
    assert said.messages[-1:] == ["stopped"]


def test_a_refusal_is_said_once():
    with Said() as said, pytest.raises(ValueError, match=r"^no model can be served\. Received: nothing$"):
        serve_in_workers([], TWO, work=stand_in_workers.refuse)
    assert said.messages == []


def test_a_worker_that_ends_while_it_begins_ends_all():
    with pytest.raises(RuntimeError, match=r"all workers must load the models.*by exit code 7$"):
        serve_in_workers([], TWO, work=stand_in_workers.end_early)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(port=taken.getsockname()[1], workers=2)
        with pytest.raises(OSError, match=r"cannot listen at 127\.0\.0\.1 port \d+"):
            serve_in_workers([], settings, work=stand_in_workers.answer)


def test_settings_that_make_no_sense():
    with pytest.raises(ValueError, match=r"workers must be at least 1\. Received: workers=0"):
        Settings(workers=0).check()
    with pytest.raises(ValueError, match=r"workers must be 1 with label_studio.*Received: workers=2"):
        Settings(workers=2, label_studio=True).check()


def test_what_a_replaced_worker_said_is_forgotten():
    said = []
    news = News(lambda level, message, details: said.append(details["version"]))
    old, new = {"model": "a", "version": 1}, {"model": "a", "version": 2}
    news.hear(2, 20, "version served", old, [1])  # while it loads, the first alone answers
    news.forget(2)
    news.hear(1, 20, "version served", new, [1, 2])
    news.hear(2, 20, "version served", new, [1, 2])
    news.hear(1, 20, "version served", old, [1, 2])
    assert said == [2]
