"""The server as a model of Label Studio: recorded requests, and what else may come."""

import asyncio
import base64
import copy
import json
import logging
import threading
from pathlib import Path

import numpy as np
import pytest
from separable import picture
from served import Running
from studio_server import page, studio

from tfautolabel.runs.identity import RUN_ID
from tfautolabel.serving.application import Application
from tfautolabel.serving.metrics import Metrics
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.places import find_places
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.studio_site import StudioSite
from tfautolabel.serving.studio_training import Training

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "label_studio_requests.jsonl")
    .read_text()
    .splitlines()
]
SETUP, PREDICT_ONE, TRAIN, PREDICT = (one["body"] for one in RECORDED[1:])
TOKEN = SETUP["access_token"]
IMAGES = SETUP["schema"].replace("<Text", "<Image").replace("$text", "$image")


class Model:
    """A stand-in: spam is what speaks of money; it cannot read what is empty."""

    name, version = "mail", 1

    def __init__(self, modality="text", classes=("ham", "spam")):
        self.description = {"modality": modality, "classes": list(classes), RUN_ID: "0123456789abcdef"}

    def signature(self, _):
        return self


class Models:
    """One served model; None while it loads."""

    def __init__(self, model):
        self.model = model

    def names(self):
        return [] if self.model is None else ["mail"]

    def get(self, name, version=None):
        return self.model


class Batching:
    waiting = 0

    async def run(self, servable, signature, arrays):
        inputs = arrays["examples"].tolist()
        labels = [b"" if not one else b"spam" if b"money" in one else b"ham" for one in inputs]
        confidence = [0.0 if not one else 0.9 for one in inputs]
        return {"label": np.array(labels, object), "confidence": np.array(confidence, np.float32)}

    def close(self):
        pass


class Served:
    """The application with a stand-in of a model."""

    def __init__(self, model, training=None, **settings):
        settings = Settings(**{"label_studio": True, **settings})
        self.application = Application(Models(model), Batching(), Metrics(), settings, training)

    def ask(self, path, body=None, method=None, **headers):
        """Status and JSON of one answer."""
        sent, content = [], b"" if body is None else json.dumps(body).encode()
        given = {"host": "127.0.0.1:9099", "content-length": str(len(content)), **headers}

        async def receive():
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method or ("GET" if body is None else "POST"),
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        asyncio.run(self.application(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.fixture
def served():
    made = []

    def one(model="text", training=None, **settings):
        made.append(Served(Model(model) if isinstance(model, str) else model, training, **settings))
        return made[-1]

    yield one
    for server in made:
        server.application.close()


def choices_of(answer):
    return [[one["value"]["choices"][0] for one in result["result"]] for result in answer["results"]]


def test_recorded_requests_are_answered(served, tmp_path):
    asked = []
    server = served(training=Training(tmp_path, lambda *_: asked.append(1)))
    for request in RECORDED:
        if request["path"] == "/webhook":
            continue
        status, answer = server.ask(request["path"], request["body"], request["method"])
        assert status == 200, answer
        if request["path"] == "/health":
            assert answer["status"] == "UP"
        elif request["path"] == "/setup":
            assert answer["model_version"].endswith(" 0123456789ab")
        else:
            tasks = request["body"]["tasks"]
            expected = [["spam" if "money" in task["data"]["text"] else "ham"] for task in tasks]
            assert choices_of(answer) == expected
            for result in answer["results"]:
                assert set(result) == {"model_version", "score", "result"}
                assert result["score"] == 0.9
                assert result["result"][0] | {"value": 0} == {
                    "from_name": "label",
                    "to_name": "item",
                    "type": "choices",
                    "value": 0,
                }


def test_each_task_has_a_result_in_order_whatever_it_holds(served):
    request = copy.deepcopy(PREDICT)
    odd = [{"text": ""}, {"text": None}, {"text": 7}, {"text": ["money"]}, {}, None, {"text": "\ud800 money"}]
    request["tasks"] = [{"id": n, "data": data} for n, data in enumerate(odd)]
    request["tasks"] += [None, "x", {}, {"id": 9, "data": {"text": "money"}}]
    status, answer = served().ask("/predict", request)
    assert status == 200
    assert choices_of(answer) == [[], [], [], [], [], [], ["spam"], [], [], [], ["spam"]]
    assert {result["score"] for result in answer["results"] if not result["result"]} == {0.0}
    assert served().ask("/predict", request | {"tasks": []}) == (200, {"results": []})


def test_pictures_come_from_the_server_that_setup_names_and_no_other(served, caplog):
    caplog.set_level(logging.DEBUG, "tfautolabel.serving")
    content = picture("red")
    with studio({"/data/upload/1.png": page(content), "/data/upload/2.png": page(b"no picture")}) as site:
        with studio({"/data/upload/1.png": page(content)}) as other:
            addresses = ["/data/upload/1.png", f"{other.url}/data/upload/1.png", "/data/upload/gone.png"]
            tasks = [{"id": n, "data": {"image": address}} for n, address in enumerate(addresses)]
            request = PREDICT | {"tasks": tasks, "label_config": IMAGES}
            server = served("image")
            assert choices_of(server.ask("/predict", request)[1]) == [[], [], []]
            setup = SETUP | {"schema": IMAGES, "hostname": site.url}
            assert server.ask("/setup", setup)[0] == 200
            assert choices_of(server.ask("/predict", request)[1]) == [["ham"], [], []]
            # Another project has another server.
            assert choices_of(server.ask("/predict", request | {"project": "3.1"})[1]) == [[], [], []]
            assert other.asked == []
        assert set(site.asked) == {(f"/data/upload/{n}.png", f"Token {TOKEN}") for n in (1, "gone")}
    told = [record.error for record in caplog.records if record.getMessage() == "task cannot be read"]
    assert any("media must be at" in one for one in told)
    assert any("Received: 404" in one for one in told)
    assert TOKEN not in "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"schema": "<View/>"}, 400, "one <Choices>"),
        ({"schema": None}, 400, "must be XML"),
        ({"schema": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}, 400, "no document type"),
        ({"schema": IMAGES}, 400, "takes <Text>"),
        ({"schema": SETUP["schema"].replace('"ham"', '"eggs"')}, 400, "does not know 'eggs'"),
        ({"schema": SETUP["schema"].replace("<Choice ", '<Choice value="x"/><Choice ', 1)}, 400, "'x'"),
        ({"project": "../2"}, 400, "a project is a number"),
        ({"hostname": "gopher://a"}, 400, "hostname must be"),
        ({"access_token": f"{TOKEN} x"}, 400, "access_token must be"),
        ({"hostname": ""}, 200, ""),
        ({"access_token": None}, 200, ""),
    ],
)
def test_setup_refuses_what_does_not_match_in_a_sentence(served, change, status, reason):
    found, answer = served().ask("/setup", SETUP | change)
    assert found == status, answer
    assert reason in answer.get("error", "")
    assert TOKEN not in answer.get("error", "")


def test_bodies_and_methods_that_are_not_the_protocols(served):
    server = served(max_instances=2)
    assert server.ask("/predict", [1])[0] == 400
    assert server.ask("/predict", PREDICT | {"tasks": {}})[0] == 400
    assert "at most 2 tasks" in server.ask("/predict", PREDICT)[1]["error"]
    assert server.ask("/setup")[0] == 405
    assert server.ask("/health", {})[0] == 405
    assert server.ask("/webhook", {"action": "ANNOTATION_CREATED", "annotation": {}}) == (
        200,
        {"status": "ok"},
    )
    assert server.ask("/other")[0] == 404
    off = served(label_studio=False)
    assert [off.ask(path, {})[0] for path in ("/setup", "/predict", "/webhook")] == [404] * 3
    assert off.ask("/health")[0] == 404


def test_while_the_model_loads_only_the_health_check_is_answered(served):
    server = served(None)
    assert server.ask("/health") == (200, {"status": "LOADING", "model_class": "tfautolabel"})
    assert server.ask("/setup", SETUP)[0] == server.ask("/predict", PREDICT)[0] == 503
    foreign = Model()
    foreign.description = None
    assert "another SavedModel" in served(foreign).ask("/setup", SETUP)[1]["error"]


def test_the_token_of_the_server_is_the_password_of_http_basic(served):
    server = served(token="a-token-of-some-length")

    def basic(words):
        return {"authorization": "Basic " + base64.b64encode(words.encode()).decode()}

    assert server.ask("/health")[0] == 200
    assert server.ask("/setup", SETUP)[0] == 401
    assert server.ask("/setup", SETUP, **basic("anna:wrong-password"))[0] == 401
    assert server.ask("/setup", SETUP, **basic("a-token-of-some-length"))[0] == 401
    assert server.ask("/setup", SETUP, authorization="Basic é!")[0] == 401
    assert server.ask("/setup", SETUP, **basic("anna:a-token-of-some-length"))[0] == 200
    assert server.ask("/setup", SETUP, authorization="Bearer a-token-of-some-length")[0] == 200
    assert server.ask("/setup", SETUP, host="evil.example")[0] == 403
    assert server.ask("/setup", SETUP, origin="https://evil.example")[0] == 403
    off = served(token="a-token-of-some-length", label_studio=False)
    assert off.ask("/models", **basic("anna:a-token-of-some-length"))[0] == 401


def test_the_train_button_learns_from_the_projects_answers(served, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "tfautolabel.serving")
    learnt, go_on = [], threading.Event()

    def refit(run, export):
        learnt.append((run, json.loads(export.read_text())))
        go_on.wait(10)
        if len(learnt) > 1:
            raise ValueError(f"no answer is new, said with {TOKEN}")

    training = Training(tmp_path, refit)
    server = served(training=training)
    assert "/setup must name" in server.ask("/webhook", TRAIN)[1]["error"]
    with studio({"/api/projects/2/export": page(b'[{"id": 5}]')}) as site:
        assert server.ask("/setup", SETUP | {"hostname": site.url})[0] == 200
        assert server.ask("/webhook", TRAIN) == (200, {"status": "training began"})
        assert server.ask("/webhook", TRAIN) == (200, {"status": "a training goes on already"})
        go_on.set()
        training.wait(10)
        assert learnt == [(tmp_path, [{"id": 5}])]
        assert site.asked == [("/api/projects/2/export?exportType=JSON", f"Token {TOKEN}")]
        assert server.ask("/webhook", TRAIN) == (200, {"status": "training began"})
        training.wait(10)
        site.pages.clear()
        server.ask("/webhook", TRAIN)
        training.wait(10)
    failed = [record.error for record in caplog.records if record.getMessage() == "training failed"]
    assert failed[0] == "no answer is new, said with …"
    assert "Received: 404" in failed[1]
    assert TOKEN not in "".join(str(vars(record)) for record in caplog.records)


def test_a_process_of_its_own_says_why_it_could_not_learn(tmp_path, caplog):
    training = Training(tmp_path)
    with studio({"/api/projects/2/export": page(b"[]")}) as site:
        assert training.start(StudioSite.named(site.url, TOKEN), 2)
        training.wait(120)
    (failed,) = (record.error for record in caplog.records if record.getMessage() == "training failed")
    assert "a folder that `tfautolabel run` wrote holds run.json" in failed
    training.close()


def test_a_model_elsewhere_cannot_learn(served):
    server = served()
    server.ask("/setup", SETUP)
    assert "Received: a model elsewhere" in server.ask("/webhook", TRAIN)[1]["error"]


def test_the_server_answers_before_the_model_is_loaded(sums):
    go_on = threading.Event()

    def slow(*_):
        go_on.wait(20)
        raise ValueError("it is broken")

    models = ServedModels(find_places([f"sums={sums}"]), load=slow)
    with Running(f"sums={sums}", label_studio=True, models=models) as running:
        status, answer, _ = running.ask("GET", "/health")
        assert (status, answer["status"]) == (200, "LOADING")
        go_on.set()
        running.join(20)  # without a model there is nothing to wait for
        with pytest.raises(Refusal):
            models.get("sums")
