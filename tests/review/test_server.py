"""The running server, killed at any moment: what it acknowledged is there, and the page's cookie goes on."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import review_serve

from tfautolabel.runs.answers import Answers


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server that is killed and started again, and a browser that asks it."""

    def __init__(self, out, count=600):
        self.port, self.cookie = free_port(), ""
        command = [sys.executable, review_serve.__file__, str(out), str(self.port), str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"

    def start(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        number, address = self.process.stdout.readline().split()
        self.child = int(number)
        return address

    def enter(self, address):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", address.partition(str(self.port))[2])
        self.cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
        self.call("who", {"who": "anna"})

    def call(self, name, body):
        headers = {"content-type": "application/json", "cookie": self.cookie}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{name}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def kill(self):
        os.kill(self.child, signal.SIGKILL)

    def close(self):
        with contextlib.suppress(OSError):
            self.kill()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path)
    yield started
    started.close()


def kill_often(server, out, kills, seed=0, longest=0.3):
    """Answers as fast as the server takes it, kills it at random moments; returns the acknowledged acts."""
    rng, acknowledged, sent = random.Random(seed), [], 0
    server.enter(server.start())
    for life in range(kills):
        if life:
            server.start()
        until = time.monotonic() + rng.uniform(0.01, longest)
        while time.monotonic() < until:
            with contextlib.suppress(urllib.error.HTTPError):
                for item in server.call("next", {"n": 1})["items"]:
                    sent += 1
                    event = {"act": f"act{sent}", "ticket": item["ticket"], "label": item["text"].split()[0]}
                    server.call("answers", {"events": [event]})
                    acknowledged.append(event["act"])
        # The next request is on its way when the server dies.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        headers = {"content-type": "application/json", "cookie": server.cookie}
        connection.request("POST", "/api/next", json.dumps({"n": 1}), headers)
        server.kill()
        connection.close()
    stored = Answers(Path(out) / "answers.sqlite")
    kept = [event.act for event in stored.events()]
    assert stored._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored.close()
    return acknowledged, kept


def test_every_acknowledged_answer_is_there_after_kills(server, tmp_path):
    acknowledged, kept = kill_often(server, tmp_path, kills=8)
    assert len(acknowledged) > 8
    assert {*acknowledged} <= {*kept}
    assert [act for act in kept if act in {*acknowledged}] == acknowledged  # in their order


def test_it_stops_in_order(server):
    server.enter(server.start())
    os.kill(server.child, signal.SIGTERM)
    for _ in range(100):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=0.2).close()
            time.sleep(0.05)
            continue
        break
    else:
        pytest.fail("the server goes on")
