"""`tfautolabel serve` as a process of its own: what it says, and how it ends."""

import contextlib
import http.client
import importlib.util
import json
import signal
import socket
import threading

import grpc
import pytest
from command import assert_one_sentence, start, tfautolabel
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tfautolabel.serving.places import find_places
from tfautolabel.serving.server import serve
from tfautolabel.serving.settings import Settings

PREDICT = "/v1/models/sums:predict"


def ask(port, method, path, body=None):
    """The body of an answer with status 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()


def test_mistakes_end_with_one_sentence(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert_one_sentence(tfautolabel("serve", tmp_path / "empty"), "numbered versions", "empty")
    done = tfautolabel("serve", folder, "--max-batch", "0")
    assert_one_sentence(done, "--max-batch must be at least 1. Received: --max-batch=0")
    for option, value in {"max_body": "inf", "batch_wait": "inf", "timeout": "nan"}.items():
        flag = "--" + option.replace("_", "-")
        done = tfautolabel("serve", folder, flag, value)
        assert_one_sentence(done, f"{flag} must be", f"Received: {flag}={value}")
    assert_one_sentence(tfautolabel("serve", folder, "--batch-wait", "-1"), "'--batch-wait'")
    assert_one_sentence(tfautolabel("serve", tmp_path / "none"), f"there is no folder '{tmp_path / 'none'}'")
    assert_one_sentence(tfautolabel("serve", folder, "--host", "0.0.0.0"), "needs a token, or --no-token")
    done = tfautolabel("serve", folder, TFAUTOLABEL_TOKEN="short-x")
    assert_one_sentence(done, "--token must have 8 characters", "a token of 7 characters")
    assert "short-x" not in done.stderr
    done = tfautolabel("serve", folder, "--allow-origin", "https://例え.jp")
    assert_one_sentence(done, "--allow-origin must be an origin", "例え")
    done = tfautolabel("serve", folder, "--log-level", "loud")
    assert_one_sentence(done, "--log-level must be one of", "'loud'")


def test_a_port_that_is_taken_is_told_before_models_load(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(port=taken.getsockname()[1])
        with pytest.raises(
            OSError, match=r"cannot listen at 127\.0\.0\.1 port \d+ \(Address already in use\)"
        ):
            serve(find_places([str(folder)]), settings)
        with pytest.raises(OSError, match=r"cannot listen at 127\.0\.0\.1 port \d+"):
            serve(find_places([str(folder)]), Settings(port=0, grpc_port=settings.port))


def test_a_folder_of_broken_models_is_refused(tmp_path):
    (tmp_path / "cats" / "1").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"no model can be served.*cats version 1: there is no saved_model\.pb"
    ):
        serve(find_places([str(tmp_path)]), Settings(port=0))


def test_it_serves_logs_json_and_finishes_what_is_under_way(folder):
    process = start("serve", folder, "--port", "0", "--log-requests")
    try:
        lines = [json.loads(process.stderr.readline()) for _ in range(2)]
        assert [line["message"] for line in lines] == ["version served", "serving"]
        assert lines[1]["models"] == ["sums"]
        assert lines[1]["host"] == "127.0.0.1"
        connection = http.client.HTTPConnection("127.0.0.1", lines[1]["port"], timeout=30)
        # The body is on its way when the signal comes.
        connection.putrequest("POST", "/v1/models/sums:predict")
        body = b'{"instances": [[1, 2, 3]]}'
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        other = http.client.HTTPConnection("127.0.0.1", lines[1]["port"], timeout=30)
        other.request("GET", "/healthz")
        assert other.getresponse().status == 200
        threading.Timer(0.5, connection.send, [body[5:]]).start()
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"predictions": [6.0]})
        rest = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    found = [json.loads(line) for line in rest.splitlines()]
    assert [line["message"] for line in found] == ["request", "request", "stopped"]
    assert {line["path"]: line["status"] for line in found[:2]} == {
        "/healthz": 200,
        "/v1/models/sums:predict": 200,
    }


def test_interrupting_it_is_no_failure(folder):
    process = start("serve", f"pets={folder / 'sums'}", "--port", "0")
    try:
        while json.loads(process.stderr.readline())["message"] != "serving":
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0


def test_several_workers_answer_at_one_port_and_finish_what_is_under_way(folder):
    flags = ["--port", "0", "--grpc-port", "0", "--workers", "2", "--log-requests"]
    process = start("serve", folder, *flags)
    try:
        served, serving = (json.loads(process.stderr.readline()) for _ in range(2))
        assert (served["message"], serving["message"]) == ("version served", "serving")
        assert len(serving["workers"]) == 2
        assert serving["loop"] == ("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
        body = b'{"instances": [[1, 2, 3]]}'
        for _ in range(20):  # each by a connection of its own
            assert ask(serving["port"], "POST", PREDICT, body) == b'{"predictions":[6.0]}'
        for _ in range(4):
            with grpc.insecure_channel(f"127.0.0.1:{serving['grpc_port']}") as channel:
                check = health_pb2_grpc.HealthStub(channel).Check
                assert check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
        metrics = ask(serving["port"], "GET", "/metrics").decode()
        assert 'requests_total{code="200",method="predict",model="sums"} 20.0' in metrics
        connection = http.client.HTTPConnection("127.0.0.1", serving["port"], timeout=30)
        connection.putrequest("POST", PREDICT)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        ask(serving["port"], "GET", "/healthz")
        threading.Timer(0.5, connection.send, [body[5:]]).start()
        process.send_signal(signal.SIGTERM)
        assert connection.getresponse().read() == b'{"predictions":[6.0]}'
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    found = [json.loads(line) for line in rest.splitlines()]
    assert [line["message"] for line in found] == [*["request"] * 27, "stopped"]
    assert {line["worker"] for line in found[:-1]} == {1, 2}
