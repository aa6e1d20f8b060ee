"""Does the real Label Studio get predictions, show pictures to the model, and train it?

Starts Label Studio with a folder of its own, in an environment of its own: it brings Django and takes about
1 GB. For texts and for pictures it
  - makes a run, exports its tasks, and imports them into a new project with the exported label config;
  - connects `tfautolabel serve --label-studio`, with a token as the password of HTTP basic authentication,
    and has Label Studio fetch predictions for all tasks (pictures come from its local files);
  - answers half of the tasks, skips one, answers one twice, and presses the Train button;
  - exports the project as JSON, and compares what `--labels` reads with what was answered.
All of it is counted, so the timings mean little; the longest wait for /health is told, because Label Studio
gives up after one second. Peer: none.

Without --studio, Label Studio is installed into a folder beside the sets. Its first start takes minutes.

    python benchmarks/label_studio.py [--studio ENVIRONMENT/bin/label-studio] [--examples 40]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from recording import Report, command_line, options

from tfautolabel.data.label_file import read_label_file

VERSION = "1.23.2"
START_SECONDS = 1500
TRAIN_SECONDS = 600
TEXTS = {"praise": "a wonderful film, moving and funny", "blame": "a boring film, slow and badly acted"}
COLOURS = {"red": (200, 50, 50), "blue": (50, 50, 200)}


def installed(folder: Path) -> Path:
    """The command label-studio of an environment of its own, which is made if it is not there."""
    command = folder / "bin" / "label-studio"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [str(folder / "bin" / "pip"), "install", "--quiet", f"label-studio=={VERSION}"], check=True
        )
    return command


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Studio:
    """A running Label Studio."""

    def __init__(self, command: Path, folder: Path, media: Path) -> None:
        self.token = secrets.token_hex(20)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "ML_BLOCK_LOCAL_IP": "false",
            "SSRF_PROTECTION_ENABLED": "false",  # else the webhook of a local model is refused
            "LOCAL_FILES_SERVING_ENABLED": "true",
            "LOCAL_FILES_DOCUMENT_ROOT": str(media),
            "LABEL_STUDIO_HOST": self.url,
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "False",
        }
        words = ["start", "--no-browser", "--port", self.port, "--data-dir", folder / "studio"]
        words += ["--username", "a@b.local", "--password", secrets.token_hex(8), "--user-token", self.token]
        self.log = open(folder / "studio.log", "wb")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            [str(command), *map(str, words)], stdout=self.log, stderr=self.log, env={**os.environ, **settings}
        )

    def wait(self) -> float:
        """Waits until it answers, and returns the seconds."""
        start = time.monotonic()
        while time.monotonic() - start < START_SECONDS:
            if self.process.poll() is not None:
                raise RuntimeError(f"Label Studio ended with {self.process.returncode}; see {self.log.name}")
            with contextlib.suppress(OSError, RuntimeError):
                self.ask("GET", "/api/projects")
                return time.monotonic() - start
            time.sleep(1)
        raise RuntimeError(f"Label Studio did not start within {START_SECONDS} seconds; see {self.log.name}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
            return json.loads(content) if content else None
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


class Served:
    """`tfautolabel serve --label-studio`, and how long its health check takes."""

    def __init__(self, model: Path, log: Path) -> None:
        self.token = secrets.token_urlsafe()
        self.port = free_port()
        self.log = log
        words = ["serve", model, "--label-studio", "--port", self.port, "--poll", "0.5"]
        with open(log, "wb") as stream:
            self.process = subprocess.Popen(
                [*command_line(), *map(str, words)],
                stderr=stream,
                env={**os.environ, "TFAUTOLABEL_TOKEN": self.token},
            )
        self.slowest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        while not self.is_up():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}; see {log}")
            time.sleep(0.05)
        self._thread.start()

    def is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/health")
            return bool(json.loads(connection.getresponse().read())["status"] == "UP")
        except ConnectionError:
            return False
        finally:
            connection.close()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            start = time.monotonic()
            self.is_up()
            self.slowest = max(self.slowest, time.monotonic() - start)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self.process.terminate()
        self.process.wait(60)


def write_texts(folder: Path, examples: int) -> tuple[list[str], dict[str, str]]:
    """A table with labels for ten of its texts: the words for `run`, and the classes by id."""
    truth = {f"row-{number}": list(TEXTS)[number % 2] for number in range(examples)}
    with open(folder / "texts.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text", "label"])
        for number, (name, label) in enumerate(truth.items()):
            writer.writerow([name, f"{TEXTS[label]}, number {number}", label if number < 10 else ""])
    return [str(folder / "texts.csv")], truth


def write_pictures(folder: Path, examples: int) -> tuple[list[str], dict[str, str]]:
    """A folder of pictures with labels for ten of them."""
    rng = np.random.default_rng(0)
    truth = {}
    (folder / "media" / "photos").mkdir(parents=True)
    for number in range(examples):
        label = list(COLOURS)[number % 2]
        name = f"photo é #{number}.png"
        pixels = np.clip(np.array(COLOURS[label]) + rng.normal(0, 30, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "media" / "photos" / name)
        truth[name] = label
    with open(folder / "labels.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *list(truth.items())[:10]])
    return [str(folder / "media" / "photos"), "--labels", str(folder / "labels.csv")], truth


@contextlib.contextmanager
def serving(model: Path, log: Path) -> Iterator[Served]:
    served = Served(model, log)
    try:
        yield served
    finally:
        served.stop()


def answer_of(config: dict[str, Any], label: str) -> list[dict[str, Any]]:
    ((name, control),) = config.items()
    return [
        {
            "from_name": name,
            "to_name": control["to_name"][0],
            "type": "choices",
            "value": {"choices": [label]},
        }
    ]


def measure(report: Report, studio: Studio, folder: Path, kind: str, examples: int) -> None:
    """One project, from a run to its answers."""
    words, truth = {"texts": write_texts, "pictures": write_pictures}[kind](folder, examples)
    out = folder / f"out-{kind}"
    subprocess.run([*command_line(), "run", *words, "--out", str(out), "--quiet"], check=True)
    place = folder / f"tasks-{kind}"
    export = [*command_line(), "export-tasks", str(out), "-o", str(place / "tasks.json"), "--quiet"]
    subprocess.run(export + (["--root", str(folder / "media")] if kind == "pictures" else []), check=True)
    config = (place / "label_config.xml").read_text(encoding="utf-8")
    tasks = json.loads((place / "tasks.json").read_text(encoding="utf-8"))
    project = studio.ask("POST", "/api/projects", {"title": kind, "label_config": config})
    number = project["id"]
    if kind == "pictures":
        path = str(folder / "media" / "photos")
        studio.ask("POST", "/api/storages/localfiles", {"project": number, "path": path, "title": "photos"})
    # Without our predictions, so that those that come are the server's.
    bare = [{name: value for name, value in task.items() if name != "predictions"} for task in tasks]
    studio.ask("POST", f"/api/projects/{number}/import", bare)
    with serving(out / "model", folder / f"serve-{kind}.log") as served:
        connected = {"url": f"http://127.0.0.1:{served.port}", "project": number, "title": "tfautolabel"}
        connected |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "x", "basic_auth_pass": served.token}
        backend = studio.ask("POST", "/api/ml", connected)
        every = {"selectedItems": {"all": True, "excluded": []}, "project": number}
        studio.ask("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={number}", every)
        found = studio.ask("GET", f"/api/predictions?project={number}")
        filled = [one for one in found if one["result"]]
        report.add(
            f"{kind}: predictions fetched by Label Studio",
            f"share of {len(tasks)} tasks",
            len(filled) / len(tasks),
            ">= 1",
            result=f"{len(filled)} of {len(tasks)}",
        )
        shown = studio.ask("GET", f"/api/projects/{number}")["parsed_label_config"]
        listed = studio.ask("GET", f"/api/tasks?project={number}&fields=all&page_size=1000")["tasks"]
        asked = sorted((task for task in listed if not task["annotations"]), key=lambda task: task["id"])
        half, given = asked[: len(asked) // 2], {}
        other = list(dict.fromkeys(truth.values()))
        for position, task in enumerate(half):
            name, address = task["data"]["tal_id"], f"/api/tasks/{task['id']}/annotations"
            if position == 0:
                studio.ask("POST", address, {"result": [], "was_cancelled": True})
                continue
            if position == 1:  # first the wrong class
                wrong = other[1 - other.index(truth[name])]
                studio.ask("POST", address, {"result": answer_of(shown, wrong)})
            studio.ask("POST", address, {"result": answer_of(shown, truth[name])})
            given[name] = truth[name]
        start = time.monotonic()
        before = json.loads((out / "run.json").read_text(encoding="utf-8"))["id"]
        studio.ask("POST", f"/api/ml/{backend['id']}/train", {"use_ground_truth": False})
        after = before
        while after == before and time.monotonic() - start < TRAIN_SECONDS:
            time.sleep(0.5)
            after = json.loads((out / "run.json").read_text(encoding="utf-8"))["id"]
        learnt = {row.path: row.label for row in read_label_file(newest(out)).rows} if after != before else {}
        right = sum(learnt.get(name) == label for name, label in given.items())
        report.add(
            f"{kind}: answers in the labels of the run after Train",
            f"share of {len(given)} answers",
            right / len(given),
            ">= 1",
            result=f"{right} of {len(given)}",
        )
        exported = place / "export.json"
        document = studio.ask("GET", f"/api/projects/{number}/export?exportType=JSON")
        exported.write_text(json.dumps(document), encoding="utf-8")
        back = {row.path: row.label for row in read_label_file(exported).rows if row.label}
        known = {task["data"]["tal_id"] for task in tasks if "annotations" in task}
        same = sum(back.get(name) == truth[name] for name in {*given, *known})
        wrong_ones = len(back) - same
        report.add(
            f"{kind}: labels that an export brings back",
            f"share of {len(given) + len(known)} answers and earlier labels, less others",
            (same - wrong_ones) / (len(given) + len(known)),
            ">= 1",
            result=f"{same} right, {wrong_ones} others",
        )
        slowest = served.slowest
    log = (folder / f"serve-{kind}.log").read_text(encoding="utf-8")
    report.add(
        f"{kind}: longest wait for /health",
        "seconds, also while the run learns; Label Studio waits one",
        slowest,
        "< 1",
        result=f"{slowest:.3f} s",
    )
    leaked = sum(token in log for token in (studio.token, served.token))
    report.add(f"{kind}: tokens in the server's log", "number", leaked, "<= 0", result=f"{leaked}")


def newest(out: Path) -> Path:
    """The labels that the last run names."""
    return Path(json.loads((out / "run.json").read_text(encoding="utf-8"))["inputs"]["labels"])


def main() -> None:
    parser: argparse.ArgumentParser = options(__doc__)
    parser.add_argument("--studio", type=Path, help="the command label-studio of an environment that has it")
    parser.add_argument("--examples", type=int, default=40)
    arguments = parser.parse_args()
    report = Report("label_studio", arguments)
    command = arguments.studio or installed(arguments.data / "label-studio")
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as name:
        folder = Path(name)
        (folder / "media").mkdir()
        studio = Studio(command, folder, folder / "media")
        try:
            print(f"Label Studio began after {studio.wait():.0f} s", flush=True)
            for kind in ("texts", "pictures"):
                measure(report, studio, folder, kind, arguments.examples)
        finally:
            studio.stop()
    report.save()


if __name__ == "__main__":
    main()
