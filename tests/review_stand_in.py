"""A server that speaks to the review page and does what a test needs: it refuses, is slow, or is gone.

It keeps answers in a file, so that another one on the same port goes on where it stopped. It learns nothing.
"""

import json
import threading
import time
import uuid
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tfautolabel

PAGE = Path(tfautolabel.__file__).parent / "review" / "page"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'"
)
MODES = ("teach", "audit", "unsure", "check")


class StandIn:
    """A server in threads of its own.

    Args:
        file: where answers are kept, one JSON object a line.
        modality: "image", "text" or "audio".
        examples: id to text, or to the bytes of a picture or sound.
        classes: names.
        port: 0 picks a free one.
    """

    def __init__(self, file, modality, examples, classes, port=0):
        self.file, self.modality, self.examples = Path(file), modality, examples
        self.ids = list(examples)
        self.lock = threading.RLock()
        self.failures, self.delay, self.fail_with, self.panel = 0, 0.0, 503, {}
        self.unreadable = {"count": 0, "first": []}
        self.requests = []
        self.lines = []  # every answer in the order in which it came, undone ones too
        self.undone, self.seen = set(), set()
        self.classes, self.changes = list(classes), []
        self.tickets, self.leases, self.people = {}, {}, {}
        if self.file.exists():
            for line in self.file.read_text("utf-8").splitlines():
                self._take(json.loads(line))
        page = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_GET(self):
                page.handle(self, None)

            def do_POST(self):
                page.handle(self, json.loads(self.rfile.read(int(self.headers["content-length"]))))

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, token):
        """A link for a person."""
        return f"http://127.0.0.1:{self.port}/?token={token}"

    def close(self):
        """Is gone at once: open requests end without an answer."""
        self.gone = True
        self._http.shutdown()
        self._http.server_close()

    gone = False

    def handle(self, request, body):
        path, _, query = request.path.partition("?")
        if self.gone:
            request.close_connection = True
            return
        person = self._person(request)
        self.requests.append((time.perf_counter(), path, body))
        if path == "/" and query.startswith("token="):
            token = query.removeprefix("token=")
            headers = {"set-cookie": f"person={token}; HttpOnly; SameSite=Strict; Path=/", "location": "/"}
            return self._send(request, 303, b"", "text/plain", headers)
        if path == "/" or path.startswith("/static/"):
            name = "index.html" if path == "/" else path.removeprefix("/static/")
            content = PAGE.joinpath(name).read_bytes()
            return self._send(
                request, 200, content, TYPES[Path(name).suffix], {"content-security-policy": POLICY}
            )
        if person is None:
            return self._json(request, 401, {"error": "This link is used up."})
        if path.startswith("/media/"):
            content = self.examples[self.ids[int(path.removeprefix("/media/"))]]
            kind = {"image": "image/png", "audio": "audio/wav"}[self.modality]
            return self._send(request, 200, content, kind, {"cache-control": "max-age=600"})
        if path == "/api/answers":
            time.sleep(self.delay)
            if self.failures:
                self.failures -= 1
                return self._json(request, self.fail_with, {"error": "The disk is full."})
            unknown = [
                event["label"] for event in body["events"] if event["label"] not in (None, *self.classes)
            ]
            if unknown:
                return self._json(request, 400, {"error": f"There is no class {unknown[0]}."})
        with self.lock:
            name = path.removeprefix("/api/").partition("?")[0]
            try:
                answer = getattr(self, f"_{name}")(person, body)
            except ConnectionError:
                request.close_connection = True
                return
        if self.gone:
            request.close_connection = True
            return
        self._json(request, 200, answer)

    def _person(self, request):
        cookie = SimpleCookie(request.headers.get("cookie", "")).get("person")
        return cookie.value if cookie and cookie.value != "used" else None

    def _json(self, request, status, content):
        self._send(request, status, json.dumps(content).encode(), "application/json")

    def _send(self, request, status, content, kind, headers=None):
        try:
            request.send_response(status)
            for name, value in (headers or {}).items():
                request.send_header(name, value)
            request.send_header("content-type", kind)
            request.send_header("content-length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        except OSError:
            pass  # the browser is gone

    def _session(self, person, _):
        who = self.people.get(person, "")
        left = len(self._open("", "teach"))
        return {
            "title": f"{self.modality}/",
            "modality": self.modality,
            "who": who,
            "others": sorted({name for key, name in self.people.items() if key != person}),
            "modes": [{"name": name, "left": left} for name in MODES],
            "classes": self._counts(),
            "status": self._status(person, None),
            "unreadable": self.unreadable,
        }

    def _who(self, person, body):
        self.people[person] = body["who"]
        return self._session(person, None)

    def _status(self, person, _):
        kinds = [line["kind"] for line in self.current(person).values()]
        return {
            "answered": sum(kind != "skip" for kind in kinds),
            "skipped": kinds.count("skip"),
            "cannot_tell": kinds.count("cannot_tell"),
            "none_of_these": kinds.count("none_of_these"),
            "left": len(self._open(person, "teach")),
            "planned": 200,
            "seconds_left": 720,
            "classes": self._counts(),
            "refitting": False,
            "fits": 0,
            "accuracy": None,
            "accepted": None,
            "needed": None,
            "stop": None,
            "agreement": None,
            "finish": {"state": "none", "sentence": "", "report": None},
            "problem": "",
            **self.panel,
        }

    def _next(self, person, body):
        held = {self.tickets[ticket][0] for ticket in body["have"] if ticket in self.tickets}
        items = []
        for name in self._open(person, body["mode"]):
            if len(items) == body["n"]:
                break
            if name in held or self.leases.get(name, person) != person:
                continue
            self.leases[name] = person
            items.append(self._item(person, name, body["mode"]))
        left = len(self._open(person, body["mode"]))
        return {"items": items, "left": left, "why": "" if items else "Everything is answered."}

    def _answers(self, person, body):
        saved = []
        with self.file.open("a", encoding="utf-8") as stream:
            for event in body["events"]:
                if event["ticket"] in self.tickets:
                    example = self.tickets[event["ticket"]][0]
                elif (event["act"], event["ticket"]) in self.seen:
                    example = None  # of a server before this one
                else:
                    example = event["ticket"].rpartition("@")[0]
                saved.append(event["ticket"])
                if (event["act"], event["ticket"]) in self.seen:
                    continue
                line = {**event, "id": example, "who": self.people.get(person, "")}
                line["person"] = person
                stream.write(json.dumps(line) + "\n")
                self._take(line)
        return {"saved": saved, "status": self._status(person, None)}

    def _take(self, line):
        self.people.setdefault(line["person"], line["who"])
        self.seen.add((line["act"], line["ticket"]))
        self.lines.append(line)

    def _acts(self, person):
        acts = {}
        for line in self.lines:
            if line["person"] == person and line["act"] not in self.undone:
                acts.setdefault(line["act"], []).append(line)
        return acts

    def _undo(self, person, _):
        change = next((each for each in reversed(self.changes) if each[0] not in self.undone), None)
        acts = self._acts(person)
        if change and change[1] == len(self.lines):
            self.undone.add(change[0])
            self.classes = change[2]
            undone = {"act": change[0], "items": [], "what": "a change of the classes"}
        elif acts:
            act, lines = list(acts.items())[-1]
            self.undone.add(act)
            items = [self._item(person, line["id"], None, line) for line in lines]
            what = f"{lines[0]['label'] or lines[0]['kind']} for " + (
                lines[0]["id"] if len(lines) == 1 else f"{len(lines)} examples"
            )
            undone = {"act": act, "items": items, "what": what}
        else:
            undone = None
        return {"undone": undone, "status": self._status(person, None)}

    def _history(self, person, _):
        acts = [
            {"act": act, "at": "2026-01-02T03:04:05Z", "items": lines}
            for act, lines in reversed(self._acts(person).items())
        ]
        return {"acts": acts}

    def _items(self, person, body):
        return {"items": [self._item(person, name, None) for name in body["ids"]]}

    def _search(self, person, body):
        if "like" in body:
            return {"items": [self._item(person, name, None) for name in self.ids[: body["n"]]]}
        found = [
            name for name in self.ids if body["text"] in name or body["text"] in str(self.examples[name])
        ]
        return {"items": [self._item(person, name, None) for name in found[: body["n"]]]}

    def _groups(self, person, _):
        size = len(self._open(person, "teach"))
        names = [f"class:{name}" for name in self.classes] + ["cluster:1"]
        return {
            "groups": [
                {
                    "key": key,
                    "kind": key.partition(":")[0],
                    "name": key.replace("class:", "predicted "),
                    "size": size,
                }
                for key in names
            ]
        }

    def _grid(self, person, body):
        kind, _, name = body["group"].partition(":")
        items = [self._item(person, each, None) for each in self._open(person, "teach")[: body["n"]]]
        return {"items": items, "label": name if kind == "class" else None}

    def _classes(self, person, body):
        if any(body["act"] == change[0] for change in self.changes):
            return self._session(person, None)
        self.changes.append((body["act"], len(self.lines), list(self.classes)))
        if "add" in body:
            self.classes = [*self.classes, body["add"]]
        else:
            old, new = body.get("rename") or body["merge"]
            names = [new if name == old else name for name in self.classes]
            self.classes = list(dict.fromkeys(names))
        return self._session(person, None)

    def _invite(self, *_):
        return {"address": self.address(uuid.uuid4().hex)}

    def _finish(self, person, _):
        self.panel["finish"] = {"state": "done", "sentence": "All are labelled.", "report": "/report"}
        return {"status": self._status(person, None)}

    def current(self, person=None):
        """Id to the answer that holds: the last one that is not undone, of one person or of all."""
        return {
            line["id"]: line
            for line in self.lines
            if line["act"] not in self.undone
            and line["kind"] != "comment"
            and person in (None, line["person"])
        }

    def _counts(self):
        labels = [line["label"] for line in self.current().values()]
        return [{"name": name, "count": labels.count(name)} for name in self.classes]

    def _open(self, person, mode):
        answered = {name for name, line in self.current().items() if line["kind"] != "skip"}
        skipped = set(self.current(person)) - answered
        order = [name for name in self.ids if name not in answered and name not in skipped]
        return order + [name for name in self.ids if name in skipped]

    def _item(self, person, name, mode, line=None):
        ticket = f"{name}@{uuid.uuid4().hex[:8]}"
        self.tickets[ticket] = (name, mode)
        place = self.ids.index(name)
        line = line or self.current(person).get(name)
        first, second = self.classes[0], self.classes[-1]
        return {
            "ticket": ticket,
            "id": name,
            "text": self.examples[name] if self.modality == "text" else None,
            "media": None if self.modality == "text" else f"/media/{place}",
            "guess": {"label": second, "confidence": 0.83},
            "given": first if mode in ("audit", "check") else None,
            "answer": {key: line[key] for key in ("kind", "label", "comment")} if line else None,
        }
