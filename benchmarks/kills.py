"""Commands killed at random moments: does the next one end with the same files, with nothing in between?

Each of `run`, `run --transfer auto`, `audit`, `label`, `tune`, `export` and `backbones fetch` is made in
peace, twice, which must give the same bytes. Then it is started again and again and killed at a random
moment, by SIGKILL, SIGTERM and SIGHUP in turn. After each kill the folder of a run must hold the earlier run
or the new one, whole and to the byte, or be refused. Then the same command, started again, must end well
with the files of the one in peace, to the byte (but run.json, tune.json and report.html, which tell times),
and leave nothing else behind.

Half of the runs have an earlier run with another seed in their folder. The backbone is a small network that
the script makes; `fetch` fetches real weights into an empty cache.

Peer: none.

    python benchmarks/kills.py [--kills 100] [--only run audit] [--seed 0]
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from recording import Report, command_line, options, print_table

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}
PICTURES, LABELLED, SIDE = 90, 36, 32
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
ENDED = "ended before"
FETCHED = "packaged:speech-embedding"
NAMES = ("job", "signal", "after s", "of s", "left", "the next command")
TIMED = ("run.json", "report.html", "tune.json", "trials.json")
"""Files that tell when something was done and how long it took."""


@dataclass
class Job:
    """A command, where it works, and what it makes.

    Attributes:
        name: for the table.
        words: the command, given its working folder.
        prepare: puts into the working folder what there is at first; told whether that is an earlier run.
        results: paths below the working folder that are compared.
        files: their contents after the command in peace.
        seconds: that took.
    """

    name: str
    words: Callable[[Path], list[str]]
    prepare: Callable[[Path, bool], None]
    results: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--only", nargs="*", help="names of jobs; all by default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report = Report("kills", arguments)
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as scratch:
        base = Path(scratch)
        make_set(base)
        jobs = [job for job in make_jobs(base) if not arguments.only or job.name in arguments.only]
        for job in jobs:
            in_peace(job, base)
        rows = kill_all(jobs, base, arguments.kills, np.random.default_rng(arguments.seed))
    print_table(list(NAMES), rows)
    told = ", ".join(f"{job.name} {sum(row[0] == job.name for row in rows)}" for job in jobs)
    bad = [row for row in rows if row[-1] != "the same" or row[-2].startswith("MIXED")]
    killed = sum(row[-2] != ENDED for row in rows)
    report.add(
        f"commands killed at random moments, seed {arguments.seed}",
        f"of {len(rows)} ({told}), those after which files were mixed, the next command ended otherwise, or "
        "something was left",
        len(bad),
        "= 0",
        result=f"{len(bad)} ({killed} were killed before they ended)",
        kills=[dict(zip(NAMES, row, strict=True)) for row in rows],
    )
    report.save()


def make_set(base: Path) -> None:
    """Pictures of three colours with noise, labels for some, and a backbone."""
    rng, truth = np.random.default_rng(0), {}
    (base / "photos").mkdir()
    for number in range(PICTURES):
        name, colour = list(COLOURS.items())[number % len(COLOURS)]
        pixels = np.clip(np.array(colour) + rng.normal(0, 60, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(base / "photos" / f"{number:03d}.png")
        truth[f"{number:03d}.png"] = name
    with (base / "labels.csv").open("w", encoding="utf-8") as file:
        file.write("path,label\n" + "".join(f"{name},{truth[name]}\n" for name in list(truth)[:LABELLED]))
    subprocess.run([sys.executable, "-c", BACKBONE, str(base / "module")], check=True)


BACKBONE = """
import sys, keras, tensorflow as tf
keras.utils.set_random_seed(0)
network = keras.Sequential([
    keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
    keras.layers.Conv2D(16, 3, strides=2, activation="relu"), keras.layers.GlobalAveragePooling2D(),
])
call = tf.function(lambda images, training=False: network(images, training=training))
for training in (False, True):
    call.get_concrete_function(tf.TensorSpec([None, 32, 32, 3], tf.float32), training=training)
module = tf.train.Checkpoint()
module.__call__ = call
module.variables = [variable.value for variable in network.variables]
module.trainable_variables = [variable.value for variable in network.trainable_variables]
module.regularization_losses = []
tf.saved_model.save(module, sys.argv[1])
"""


def make_jobs(base: Path) -> list[Job]:
    """All of them; what several begin with is made here, in peace."""
    common = ["--labels", base / "labels.csv", "--backbone", base / "module", "--quiet"]

    def run(work: Path, *more: str) -> list[str]:
        words = ["run", base / "photos", "--out", work / "out", "--cache-dir", work / "cache", *common]
        return [*map(str, words), "--target-error", "0.1", *more]

    earlier, audited = base / "earlier", base / "audited"
    call(run(earlier, "--seed", "1"))
    call(run(audited))
    answer(audited / "out" / "audit.csv")

    def nothing(_work: Path, _again: bool) -> None:
        pass

    def perhaps_earlier(work: Path, again: bool) -> None:
        if again:
            shutil.copytree(earlier / "out", work / "out")

    def from_audited(work: Path, _again: bool) -> None:
        shutil.copytree(audited / "out", work / "out")

    def tune(work: Path) -> list[str]:
        words = ["tune", base / "photos", "--out", work / "out", "--cache-dir", work / "cache", *common]
        return [*map(str, words), "--trials", "3"]

    def audit(work: Path) -> list[str]:
        return ["audit", f"{work}/out", "--audited", f"{work}/out/audit.csv", "--quiet"]

    model = str(audited / "out" / "model")
    tflite = ["export", model, "--format", "tflite", "--quiet", "--out"]
    label = ["label", model, str(base / "photos"), "--quiet", "--out"]
    auto = ("--transfer", "auto", "--time-budget", "1h")
    return [
        Job("run", run, perhaps_earlier, ("out",)),
        Job(
            "audit",
            lambda work: ["audit", f"{work}/out", "--audited", f"{work}/out/audit.csv", "-q"],
            from_audited,
            ("out",),
        ),
        Job("label", lambda work: [*label, f"{work}/new.csv"], nothing, ("new.csv", "new.unreadable.csv")),
        Job("tune", tune, nothing, ("out/model",)),
        Job("export", lambda work: [*tflite, f"{work}/model.tflite"], nothing, ("model.tflite",)),
        Job("run --transfer auto", lambda work: run(work, *auto), perhaps_earlier, ("out",)),
        Job("fetch", lambda _: ["backbones", "fetch", FETCHED], nothing, ("weights",)),
    ]


def answer(file: Path) -> None:
    """Says yes to every item."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row | {"correct": "yes"} for row in rows)


def environment(work: Path) -> dict[str, str]:
    """Weights are kept in the working folder, so that fetching begins with nothing."""
    return os.environ | {"TFAUTOLABEL_CACHE": str(work / "weights"), "TF_CPP_MIN_LOG_LEVEL": "3"}


def start(words: list[str], work: Path) -> subprocess.Popen[str]:
    """A running command, which takes SIGHUP also where nohup started this script."""
    work.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [*command_line(), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(work),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def call(words: list[str], work: Path | None = None) -> None:
    process = start(words, work or Path(words[words.index("--out") + 1]).parent)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {errors[-2000:]}")


def in_peace(job: Job, base: Path) -> None:
    """Makes what the killed ones are compared with; twice, because what differs by itself proves nothing."""
    made = []
    for number in range(2):
        work = base / "peace" / f"{job.name.replace(' ', '')}{number}"
        work.mkdir(parents=True)
        job.prepare(work, False)
        begun = time.perf_counter()
        call(job.words(work), work)
        job.seconds = time.perf_counter() - begun
        made.append(contents(work, job.results))
    job.files = made[0]
    if differing := difference(made[0], made[1]):
        raise RuntimeError(f"{job.name} in peace differs from itself in {differing}")
    print(f"{job.name}: {job.seconds:.0f} s, {len(job.files)} files", flush=True)


def kill_all(jobs: list[Job], base: Path, kills: int, rng: np.random.Generator) -> list[list[str]]:
    rows: list[list[str]] = []
    # One that ended before proves nothing.
    while sum(row[-2] != ENDED for row in rows) < kills:
        number = len(rows)
        job, sent = jobs[number % len(jobs)], SIGNALS[number // len(jobs) % len(SIGNALS)]
        work = base / f"killed-{number}"
        work.mkdir()
        job.prepare(work, bool(rng.integers(2)))
        before = contents(work, job.results)
        seconds, after = job.seconds, float(rng.uniform(0, job.seconds))
        process = start(job.words(work), work)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
        process.communicate()
        state = ENDED if process.returncode == 0 else state_of(job, work, before)
        begun = time.perf_counter()
        again = start(job.words(work), work)
        _, errors = again.communicate()
        # On a machine with other work every time is another one.
        job.seconds = time.perf_counter() - begun
        outcome = (
            compared(job, work)
            if again.returncode == 0
            else f"ENDED WITH {again.returncode}: {errors[-300:]}"
        )
        rows.append([job.name, sent.name, f"{after:.1f}", f"{seconds:.1f}", state, outcome])
        print(*rows[-1], flush=True)
        if outcome == "the same":
            shutil.rmtree(work)
    return rows


def state_of(job: Job, work: Path, before: dict[str, bytes]) -> str:
    """Which run a killed command left: its own, the earlier, none, one that is refused, or a mixture."""
    out = work / "out"
    if "out" not in job.results:
        return "killed"
    if (out / ".commit" / "run.json").is_file():
        process = start(["label", str(out / "model"), str(work), "--out", str(work / "x.csv")], work)
        _, errors = process.communicate()
        return "refused" if process.returncode == 2 and "finishes it" in errors else "MIXED, not refused"
    now = contents(work, job.results)
    if not (out / "run.json").is_file():
        return "no run" if not now else f"MIXED without a record: {sorted(now)}"
    if not difference(now, job.files):
        return "the new run"
    wrong = difference(now, before)
    return f"MIXED in {wrong}" if wrong else "the earlier run"


def compared(job: Job, work: Path) -> str:
    wrong = difference(contents(work, job.results), job.files)
    if wrong:
        return f"OTHERWISE {wrong}"
    names = [path.relative_to(work) for path in work.rglob("*")]
    left = sorted(str(name) for name in names if name.name.startswith(".") or "partial" in name.name)
    return f"LEFT {left}" if left else "the same"


def contents(work: Path, results: Iterable[str]) -> dict[str, bytes]:
    """Relative names of the files among the results to what is in them, without those that tell times."""
    found = {}
    for name in results:
        place = work / name
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for file in files:
            hidden = any(part.startswith(".") for part in file.relative_to(work).parts)
            if file.name not in TIMED and not hidden:
                found[str(file.relative_to(work))] = file.read_bytes()
    return found


def difference(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


if __name__ == "__main__":
    main()
