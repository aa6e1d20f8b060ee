"""The page's server: who may ask, what is refused, and what the page gets."""

import asyncio
import json
from dataclasses import replace

import pytest
from review_serve import CLASSES, opened

from tfautolabel.labels import Unreadable
from tfautolabel.review.application import POLICY, Application, kind_of
from tfautolabel.review.background import Background
from tfautolabel.review.desk import Desk
from tfautolabel.review.finding import Finder
from tfautolabel.review.links import Links
from tfautolabel.review.server import page_settings


class Client:
    """Sends requests to an application in this process, as one browser."""

    def __init__(self, review, tmp_path):
        self.review = review
        self.links = Links(review.answers, review.material.title)
        self.background = Background(review, lambda mode: f"finished {mode}")
        desk = Desk(review, self.background, Finder(review.material, review.learner), self.invite)
        self.report = tmp_path / "report.html"
        self.application = Application(desk, self.links, review.material, self.report, page_settings())
        self.cookie = ""

    def invite(self):
        return f"http://127.0.0.1/?token={self.links.make()}"

    def ask(self, path, body=None, method=None, headers=None):
        """Returns the status, the headers and the body."""
        path, _, query = path.partition("?")
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"host": "127.0.0.1:8502", "content-type": "application/json", "cookie": self.cookie}
        given |= {"content-length": str(len(content))} | (headers or {})
        scope = {
            "type": "http",
            "method": method or ("GET" if body is None else "POST"),
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        sent = []

        async def receive():
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            sent.append(message)

        asyncio.run(self.application(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, sent[1]["body"]

    def enter(self, who="anna"):
        """Comes by a link and says a name."""
        status, headers, _ = self.ask(self.invite().removeprefix("http://127.0.0.1"))
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]
        return self.call("who", {"who": who})

    def call(self, name, body=None):
        status, _, content = self.ask(f"/api/{name}", body)
        assert status == 200, content
        return json.loads(content)

    def refused(self, name, body=None, **options):
        status, _, content = self.ask(f"/api/{name}", body, **options)
        return status, json.loads(content)["error"]


@pytest.fixture
def client(tmp_path):
    review = opened(tmp_path, count=120)
    yield Client(review, tmp_path)
    review.answers.close()


def test_a_link_works_once_and_the_cookie_goes_on(client):
    link = client.invite().removeprefix("http://127.0.0.1")
    status, headers, _ = client.ask(link)
    assert (status, headers["location"]) == (303, "/")
    for wanted in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert wanted in headers["set-cookie"]
    again = client.ask(link)
    assert "set-cookie" not in again[1]
    client.cookie = headers["set-cookie"].partition(";")[0]
    assert client.call("session")["who"] == ""
    assert client.call("who", {"who": " anna "})["who"] == "anna"
    assert client.call("session")["who"] == "anna"


def test_secrets_are_not_in_the_store(client, tmp_path):
    token = client.invite().partition("token=")[2]
    client.enter()
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("answers.sqlite*"))
    assert token.encode() not in stored
    assert client.cookie.partition("=")[2].encode() not in stored


@pytest.mark.parametrize("path", ["/api/session", "/api/next", "/media/abc", "/report", "/api/who"])
def test_without_a_link_there_is_only_the_page(client, path):
    assert client.ask(path, {} if "api" in path and "session" not in path else None)[0] == 401
    client.cookie = "review_madeup_0=guess"
    assert client.ask("/api/session")[0] == 401
    assert client.ask("/")[0] == 200


def test_somebody_without_a_name_answers_nothing(client):
    _, headers, _ = client.ask(client.invite().removeprefix("http://127.0.0.1"))
    client.cookie = headers["set-cookie"].partition(";")[0]
    assert client.refused("next", {"n": 1}) == (409, "say first who you are")
    assert client.refused("who", {"who": "  "})[0] == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-length": "99999999"}, 413),
    ],
)
def test_the_rules_of_the_model_server_hold(client, headers, status):
    client.enter()
    assert client.ask("/api/undo", {}, headers=headers)[0] == status


def test_the_page_may_load_nothing_from_elsewhere(client):
    status, headers, content = client.ask("/")
    assert status == 200
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert b"<script>" not in content
    assert b"http" not in content.replace(b"http-equiv", b"").replace(b"http://www.w3.org", b"")
    assert client.ask("/static/main.js")[1]["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("name", ["../session.py", "..%2fsession.py", "main.py", "", "none.js", "a\\b.js"])
def test_no_other_file_is_served(client, name):
    assert client.ask(f"/static/{name}")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "method", "status"),
    [
        ("/api/nothing", {}, None, 404),
        ("/elsewhere", None, None, 404),
        ("/api/undo", None, "GET", 405),
        ("/api/undo", {}, "PUT", 405),
        ("/api/next", b"[1]", None, 400),
        ("/api/next", b"{", None, 400),
        ("/api/next", b"[" * 100_000, None, 400),
        ("/api/next", {"n": -1}, None, 400),
        ("/api/next", {"n": "x"}, None, 400),
        ("/api/next", {"mode": "cook"}, None, 400),
        ("/api/next", {"have": ["nothing"]}, None, 400),
        ("/api/answers", {"events": [1]}, None, 400),
        ("/api/answers", {"events": [{"ticket": "teach-x", "act": "a"}]}, None, 400),
        ("/api/answers", {"events": {}}, None, 400),
        ("/api/classes", {"act": "a"}, None, 400),
        ("/api/classes", {"act": "a", "rename": ["ant"]}, None, 400),
        ("/api/search", {"like": "nobody"}, None, 400),
        ("/api/search", {}, None, 400),
        ("/media/unknown", None, None, 404),
        ("/report", None, None, 404),
    ],
)
def test_mistakes_get_one_sentence(client, path, body, method, status):
    client.enter()
    found, _, content = client.ask(path, body, method)
    assert found == status
    assert json.loads(content)["error"]


def test_answers_are_stored_once_however_often_they_are_sent(client):
    client.enter()
    item = client.call("next", {"n": 1})["items"][0]
    event = {"act": "act1", "ticket": item["ticket"], "kind": "label", "label": "ant", "seconds": 1.5}
    for _ in range(3):
        assert client.call("answers", {"events": [event]})["saved"] == [item["ticket"]]
    assert [(e.item, e.label, e.seconds) for e in client.review.answers.events()] == [
        (item["id"], "ant", 1.5)
    ]


def test_a_whole_session(client):
    """Answers, undoes, changes classes, searches and looks back, as the page does."""
    session = client.enter()
    assert [entry["name"] for entry in session["classes"]] == list(CLASSES)
    acts = []
    for number in range(30):
        item = client.call("next", {"n": 1})["items"][0]
        assert "random" not in json.dumps(item)
        acts.append((f"act{number}", item["id"]))
        event = {"act": acts[-1][0], "ticket": item["ticket"], "label": item["text"].split()[0]}
        client.call("answers", {"events": [event]})
    assert client.call("status")["answered"] == 30
    history = client.call("history?n=5")["acts"]
    assert [entry["items"][0]["id"] for entry in history] == [item for _, item in acts[:-6:-1]]
    undone = client.call("undo", {})
    assert undone["undone"]["items"][0]["id"] == acts[-1][1]
    assert undone["status"]["answered"] == 29
    again = client.call("items", {"ids": [acts[0][1]]})["items"][0]
    assert again["answer"]["kind"] == "label"
    client.review.refit()
    groups = client.call("groups")["groups"]
    assert {"class", "cluster"} == {group["kind"] for group in groups}
    grid = client.call("grid", {"group": "class:ant", "n": 60})
    assert grid["label"] == "ant"
    events = [{"act": "grid", "ticket": item["ticket"], "label": "ant"} for item in grid["items"]]
    client.call("answers", {"events": events})
    assert client.call("status")["answered"] == 29 + len(events)
    assert client.call("undo", {})["undone"]["act"] == "grid"
    assert client.call("status")["answered"] == 29
    found = client.call("search", {"text": "BEE number", "n": 5})["items"]
    assert found
    assert all("bee" in item["text"] for item in found)
    alike = client.call("search", {"like": found[0]["id"], "n": 5})["items"]
    assert len(alike) == 5
    assert found[0]["id"] not in [item["id"] for item in alike]
    assert "moth" in [e["name"] for e in client.call("classes", {"act": "new", "add": "moth"})["classes"]]
    client.call("classes", {"act": "merged", "merge": ["moth", "bee"]})
    assert [e["name"] for e in client.call("session")["classes"]] == list(CLASSES)


def test_two_people_work_side_by_side(client, tmp_path):
    client.enter("anna")
    other = Client(client.review, tmp_path)
    address = client.call("invite", {})["address"]
    _, headers, _ = other.ask(address.partition("8502")[2] or address.removeprefix("http://127.0.0.1"))
    other.cookie = headers["set-cookie"].partition(";")[0]
    other.call("who", {"who": "ben"})
    mine = [item["id"] for item in client.call("next", {"n": 4})["items"]]
    theirs = [item["id"] for item in other.call("next", {"n": 4})["items"]]
    assert mine
    assert theirs
    assert not {*mine} & {*theirs}
    client.call("answers", {"events": [{"act": "x", "ticket": f"teach-{_key(mine[0])}", "label": "ant"}]})
    assert other.call("undo", {})["undone"] is None  # everybody takes back only what is theirs
    assert other.call("session")["others"] == ["anna"]


def _key(name):
    from tfautolabel.review.material import key_of

    return key_of(name)


def test_finishing_is_followed_and_a_failure_is_told(client):
    client.enter()
    client.background._finish = lambda _: 1 / 0
    client.call("finish", {"mode": "teach"})
    for _ in range(100):
        if (told := client.call("status")["finish"])["state"] != "running":
            break
    assert told == {"state": "failed", "sentence": "division by zero", "report": None}
    client.background._finish = lambda mode: f"done {mode}"
    client.call("finish", {"mode": "audit"})
    client.background._labelling.join()
    assert client.call("status")["finish"] == {"state": "done", "sentence": "done audit", "report": "/report"}
    client.report.write_text("<html>report")
    status, headers, content = client.ask("/report")
    assert (status, content) == (200, b"<html>report")
    assert "connect-src" not in headers["content-security-policy"]


def test_a_full_disk_is_a_503_and_the_page_keeps_the_answer(client, monkeypatch):
    client.enter()
    item = client.call("next", {"n": 1})["items"][0]

    def full(_):
        raise OSError("the answers cannot be written (database or disk is full)")

    monkeypatch.setattr(client.review.answers, "add", full)
    body = {"events": [{"act": "a", "ticket": item["ticket"], "label": "ant"}]}
    status, error = client.refused("answers", body)
    assert (status, error) == (503, "the answers cannot be written (database or disk is full)")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF....WEBP", "image/webp"),
        (b"RIFF....WAVE", "audio/wav"),
        (b"<svg onload=alert(1)>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_bytes_get_a_kind_that_no_browser_runs(content, kind):
    assert kind_of(content) == kind


def test_the_page_gets_what_was_set_aside(client):
    broken = tuple(Unreadable(f"row {number}.jpg", "it is empty") for number in range(60))
    client.review.material = replace(client.review.material, unreadable=broken)
    client.enter()
    told = client.call("session", {})["unreadable"]
    assert told["count"] == 60
    assert told["first"] == [{"id": f"row {number}.jpg", "reason": "it is empty"} for number in range(50)]
