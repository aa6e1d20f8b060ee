"""Whether sessions with a person keep what they promise: certificates, the time of a key, and kills.

certificates: sessions are played with answers from known labels, 100 answers each with 15 % drawn at random,
and an audit of the labels that the session leaves. Counted is how often the accepted labels are worse than
the target of 5 % although an audit certified them, and how often the true accuracy lies outside the interval
that the panel shows (from the randomly asked ones only). The methods were not chosen on these sessions.

keys: the running server with 50,000 examples of 1,280 features, which answers one person at ten keys a second
while the head learns: the time from the request that stores an answer to its acknowledgement, after which the
page shows the next example, which it holds already; and with the request for another one.

kills: the server is killed with SIGKILL at random moments while answers are sent as fast as they are taken;
every acknowledged answer must be there afterwards, in its order.

    python benchmarks/review.py [--parts certificates keys kills] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from recording import Report
from trust_sets import Features, read_features, trust_options

from tfautolabel.data import Dataset
from tfautolabel.review.material import Material
from tfautolabel.review.session import Review
from tfautolabel.review.settings import ReviewSettings
from tfautolabel.runs.answers import Answers
from tfautolabel.trust import answers_needed, certify_audited, design_audit
from tfautolabel.trust.binomial import error_bound

PARTS = ("certificates", "keys", "kills")
TARGET, CONFIDENCE = 0.05, 0.95
POOL, ANSWERS = 1000, 100
SERVE = Path(__file__).parents[1] / "tests" / "review_serve.py"


def session(found: Features, seed: int, folder: Path) -> dict[str, Any]:
    """Plays a session and its audit; returns what was said, and what is true."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(found.values))[: min(POOL, len(found.values))]
    values, truth = found.values[rows], found.class_ids[rows]
    names = [f"class {number}" for number in range(int(truth.max()) + 1)]
    data = Dataset.from_inputs([f"text {row}" for row in range(len(rows))], modality="text")
    store = Answers(folder / f"{seed}.sqlite")
    review = Review(Material(data, values), store, classes=names, settings=ReviewSettings(seed=seed))
    for _ in range(ANSWERS):
        if (shown := review.next()) is None:
            break
        review.answer("me", shown, names[truth[shown.row]])
    review.refit()
    lesson, accuracy = review.lesson, review.status().panel.accuracy
    store.close()
    if lesson is None or accuracy is None:
        return {"asked": 0}
    others = np.setdiff1d(np.arange(len(rows)), lesson.rows)
    right = lesson.predicted == truth
    scores = lesson.confidence[others].astype(np.float32)
    sure = scores >= 0.5
    scores, correct = scores[sure], right[others][sure]
    levels = {"target_error": TARGET, "confidence": CONFIDENCE}
    design = design_audit(scores, seed=seed, **levels)
    kind, wrong, count = "undecided", 0.0, 0
    order = design.order(scores, len(scores))
    while count < min(len(scores), 400):
        needed = answers_needed(scores, correct[order[:count]], design=design, **levels)
        if needed.if_right is None:
            break
        count = min(max(needed.if_right, count + 1), len(scores))
        certificate = certify_audited(scores, correct[order[:count]], order[:count], design=design, **levels)
        if certificate.kind == "certified":
            accepted = certificate.accepts(scores)
            kind, wrong = "certified", float((~correct[accepted]).mean()) if accepted.any() else 0.0
            break
    return {
        "asked": accuracy[3],
        "covered": accuracy[1] <= right.mean() <= accuracy[2],
        "estimate": accuracy[0],
        "true": float(right.mean()),
        "kind": kind,
        "wrong": wrong,
        "answers": count,
    }


def certificates(arguments: argparse.Namespace, report: Report) -> None:
    sets = read_features(arguments)
    each = -(-arguments.sessions // len(sets))
    played = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, found) in enumerate(sets.items()):
            own = [session(found, 1000 * number + seed, Path(folder)) for seed in range(each)]
            played += own
            print(
                name,
                *[
                    f"{key}={np.mean([one[key] for one in own]):.3f}"
                    for key in ("estimate", "true", "wrong", "answers")
                ],
                flush=True,
            )
    certified = [one for one in played if one["kind"] == "certified"]
    broken = sum(one["wrong"] > TARGET for one in certified)
    report.add(
        "certified labels miss the target",
        f"share of sessions, target {TARGET:.0%}",
        broken / len(played),
        f"<= {1 - CONFIDENCE:.2f}",
        result=f"{broken} of {len(played)}",
        certified=len(certified),
        answers=float(np.mean([one["answers"] for one in certified])),
        upper_bound=float(error_bound(len(played), broken, 0.95)),
    )
    outside = sum(not one["covered"] for one in played)
    gaps = [one["estimate"] - one["true"] for one in played]
    report.add(
        "true accuracy outside the panel's interval",
        "share of sessions, 95 % interval",
        outside / len(played),
        "<= 0.05",
        result=f"{outside} of {len(played)}",
        mean_gap=float(np.mean(gaps)),
        lowest_gap=float(min(gaps)),
        highest_gap=float(max(gaps)),
    )


class Browser:
    """Asks a server as the page does, over one connection."""

    def __init__(self, out: str, count: int, dim: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVE), out, "0", str(count), str(dim)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.line()
        self.cookie = ""

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        child, address = self.line().split()
        self.child, self.port = int(child), int(address.split(":")[2].partition("/")[0])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return address

    def enter(self, address: str) -> None:
        self.connection.request("GET", address.partition(str(self.port))[2])
        answer = self.connection.getresponse()
        answer.read()
        self.cookie = str(answer.headers["set-cookie"]).partition(";")[0]
        self.call("who", {"who": "me"})

    def call(self, name: str, body: dict[str, Any]) -> Any:
        headers = {"content-type": "application/json", "cookie": self.cookie}
        self.connection.request("POST", f"/api/{name}", json.dumps(body), headers)
        return json.loads(self.connection.getresponse().read())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.child, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()


def keys(arguments: argparse.Namespace, report: Report) -> None:
    with tempfile.TemporaryDirectory() as out:
        browser = Browser(out, 50_000, 1280)
        browser.enter(browser.start())
        stored, whole, fitting = [], [], 0
        items = browser.call("next", {"n": 4})["items"]
        for number in range(arguments.keys):
            begun = time.perf_counter()
            item = items.pop(0)
            event = {"act": f"act{number}", "ticket": item["ticket"], "label": item["text"].split()[0]}
            said = browser.call("answers", {"events": [event]})
            stored.append(time.perf_counter() - begun)
            fitting += said["status"]["refitting"]
            items += browser.call("next", {"n": 1, "have": [one["ticket"] for one in items]})["items"]
            whole.append(time.perf_counter() - begun)
            time.sleep(max(0.1 - (time.perf_counter() - begun), 0.0))
        browser.close()
    for what, times in (
        ("an answer is stored and the next may show", stored),
        ("another one is fetched too", whole),
    ):
        report.add(
            f"key until {what}",
            "p95 in ms, 50,000 x 1,280 examples, ten keys a second",
            float(np.percentile(times, 95)) * 1000,
            "< 100",
            keys=len(times),
            while_learning=fitting,
            median_ms=float(np.median(times)) * 1000,
            worst_ms=max(times) * 1000,
        )


def kills(arguments: argparse.Namespace, report: Report) -> None:
    rng, acknowledged, sent = random.Random(0), [], 0
    with tempfile.TemporaryDirectory() as out:
        browser = Browser(out, 5000, 64)
        browser.enter(browser.start())
        for life in range(arguments.kills):
            if life:
                browser.start()
            until = time.monotonic() + rng.uniform(0.01, 1.0)
            while time.monotonic() < until:
                for item in browser.call("next", {"n": 1})["items"]:
                    sent += 1
                    event = {"act": f"act{sent}", "ticket": item["ticket"], "label": item["text"].split()[0]}
                    browser.call("answers", {"events": [event]})
                    acknowledged.append(event["act"])
            os.kill(browser.child, signal.SIGKILL)
        browser.close()
        store = Answers(Path(out) / "answers.sqlite")
        kept = [event.act for event in store.events()]
        store.close()
    known = {*acknowledged}
    lost = len(known - {*kept})
    in_order = [act for act in kept if act in known] == acknowledged
    report.add(
        "acknowledged answers that are lost",
        f"answers, after {arguments.kills} kills of the server",
        lost + (not in_order),
        "= 0",
        result=f"{lost} of {len(acknowledged)}",
        in_their_order=in_order,
    )


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--kills", type=int, default=50)
    arguments = parser.parse_args()
    report = Report("review", arguments)
    for part in arguments.parts:
        globals()[part](arguments, report)
        report.save()


if __name__ == "__main__":
    main()
