"""What clips of an hour cost in memory, by format, alone and 32 in a batch.

Measures the largest resident memory of a process that computes features of clips of an hour, and of another
that computes those of one clip of ten seconds, with an empty cache. Noise and tones in WAV, FLAC and OGG at
16 kHz and in MP3 at 8 kHz are written first: no two clips are alike.

Peer: a clip of ten seconds with the same backbone.

    python benchmarks/long_sounds.py [--backbones NAME ...] [--many 32] [--few 3] [--seconds 3600]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from recording import Report, options

BAR = 0.3
KINDS = {"wav": 16_000, "flac": 16_000, "ogg": 16_000, "mp3": 8000}
BACKBONES = ["packaged:speech-embedding", "packaged:resemblyzer", "plain:spectrum"]
EXTRACT = """
import json, resource, sys, time
from tfautolabel import load_backbone
from tfautolabel.data import Dataset
from tfautolabel.features import extract_features
backbone = load_backbone(sys.argv[1])
start = time.perf_counter()
found = extract_features(
    Dataset.from_inputs(sys.argv[2:], modality="audio"), backbone, use_cache=False, progress=False
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps([peak, time.perf_counter() - start, len(found.rows)]))
"""


def write_clip(file: Path, seconds: int, rate: int, number: int) -> None:
    """Writes a clip minute by minute: a tone that rises from minute to minute, in noise."""
    import soundfile

    rng = np.random.default_rng(number)
    unfinished = file.with_name(f"unfinished-{file.name}")
    with soundfile.SoundFile(unfinished, "w", rate, 1) as sound:
        for start in range(0, seconds, 60):
            time = np.arange(min(60, seconds - start) * rate) / rate
            tone = 0.3 * np.sin(2 * np.pi * (200 + start / 4 + number) * time)
            sound.write(tone + rng.uniform(-0.1, 0.1, len(time)))
    unfinished.rename(file)


def clips(folder: Path, kind: str, count: int, seconds: int) -> list[Path]:
    """Files of one kind, written where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{seconds}-{number}.{kind}" for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            write_clip(file, seconds, KINDS[kind], number)
    return files


def peak(backbone: str, files: list[Path]) -> tuple[float, float]:
    """Gigabytes and seconds of one extraction."""
    done = subprocess.run(
        [sys.executable, "-c", EXTRACT, backbone, *map(str, files)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    memory, seconds, read = json.loads(done.stdout.splitlines()[-1])
    if read != len(files):
        sys.exit(f"{backbone} read {read} of {len(files)} clips")
    return memory, seconds


def measure(
    report: Report, arguments: argparse.Namespace, backbone: str, files: list[Path], what: str
) -> None:
    """Adds one row: these files beside one clip of ten seconds of the first file's kind."""
    folder = arguments.data / "long-sounds"
    short, _ = peak(backbone, clips(folder, files[0].suffix[1:], 1, 10))
    long, seconds = peak(backbone, files)
    usual = arguments.seconds == 3600
    report.add(
        f"{what} with {backbone}",
        "GB more than for a clip of ten seconds",
        long - short,
        f"<= {BAR}" if usual else None,
        result=f"{long:.2f} GB, {seconds:.0f} s",
        peer=f"{short:.2f} GB",
    )
    print(what, backbone, f"{long:.2f} - {short:.2f} GB, {seconds:.0f} s", flush=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--few", type=int, default=3)
    parser.add_argument("--many", type=int, default=32)
    arguments = parser.parse_args()
    report = Report("long_sounds", arguments)
    folder, seconds = arguments.data / "long-sounds", arguments.seconds
    for backbone in arguments.backbones:
        for kind in arguments.kinds:
            files = clips(folder, kind, arguments.few, seconds)
            measure(report, arguments, backbone, files[:1], f"1 {kind} of {seconds:,} s")
            if backbone == arguments.backbones[-1] and arguments.few > 1:
                measure(report, arguments, backbone, files, f"{len(files)} {kind} of {seconds:,} s")
    if arguments.many:
        each = -(-arguments.many // len(arguments.kinds))
        mixed = [file for kind in arguments.kinds for file in clips(folder, kind, each, seconds)]
        what = f"{arguments.many} clips of all kinds of {seconds:,} s"
        measure(report, arguments, arguments.backbones[-1], mixed[: arguments.many], what)
    report.save()


if __name__ == "__main__":
    main()
