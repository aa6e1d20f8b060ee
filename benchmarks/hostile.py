"""A folder in which 30 of 1,000 entries are broken in 10 different ways, through the real command line.

Measures whether `tfautolabel run` ends with exit code 0, labels every one of the 970 good files, and sets
the 30 broken ones aside in unreadable.csv with the right reasons. The good files are Fashion-MNIST test
images in every format that is read; the labelled ones are in a folder of their own.

Peer: none; the reasons are held against what was broken.

    python benchmarks/hostile.py [--files 1000]
"""

from __future__ import annotations

import csv
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from pictures import encode, write_in_all_formats
from PIL import Image
from recording import Report, command_line, options, print_table

COPIES = 3


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=1000)
    arguments = parser.parse_args()
    report = Report("hostile", arguments)
    labelled = datasets.fashion_mnist(arguments.data, "train", 10)
    originals = sorted(datasets.fashion_mnist(arguments.data, "test", 300).rglob("*.png"))
    order = np.random.default_rng(0).permutation(len(originals))
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as scratch:
        folder, out = Path(scratch, "photos"), Path(scratch, "out")
        good = arguments.files - COPIES * len(BREAKAGES)
        write_in_all_formats([originals[row] for row in order], folder, good)
        expected = break_files(folder, Path(scratch, "outside.jpg"))
        command = [*command_line(), "run", str(folder), "--labelled", str(labelled), "--out", str(out)]
        command += ["--cache-dir", str(Path(scratch, "cache")), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        labels, unreadable = (read_ids(out / f"{name}.csv") for name in ("predictions", "unreadable"))
    if done.returncode != 0:
        print(done.stderr[-2000:])
    show_reasons(expected, unreadable)
    right = sum(unreadable.get(name, "").startswith(reason) for name, (_, reason) in expected.items())
    wrong = [name for name in unreadable if name not in expected]
    report.add("hostile folder, exit code", "exit code of tfautolabel run", done.returncode, "= 0")
    report.add(
        "hostile folder, labelled",
        f"good files of {arguments.files:,} entries that have a label",
        len(set(labels) - set(expected)),
        f"= {good}",
    )
    report.add(
        "hostile folder, set aside",
        f"broken in {len(BREAKAGES)} ways and in unreadable.csv with the right reason",
        right - len(wrong) - len(set(labels) & set(expected)),
        f"= {len(expected)}",
        reasons={name: unreadable.get(name) for name in expected},
    )
    report.save()


def read_ids(path: Path) -> dict[str, str]:
    """Id to the second column of a CSV file; empty if there is none."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in list(csv.reader(file))[1:]}


def break_files(folder: Path, outside: Path) -> dict[str, tuple[str, str]]:
    """Puts every kind of broken entry into the folder: id to the kind and what the reason must begin with."""
    outside.write_bytes(JPEG)
    expected = {}
    for kind, (ending, make, reason) in BREAKAGES.items():
        for copy in range(COPIES):
            name = f"broken-{kind.replace(' ', '-')}-{copy}.{ending}"
            make(folder / name, outside)
            expected[name] = kind, reason
    return expected


def show_reasons(expected: dict[str, tuple[str, str]], unreadable: dict[str, str]) -> None:
    rows = {}
    for name, (kind, reason) in expected.items():
        given = unreadable.get(name, "NOT SET ASIDE")
        rows[kind, given] = rows.get((kind, given), 0) + given.startswith(reason)
    columns = ["broken how", f"right of {COPIES}", "reason in unreadable.csv"]
    print_table(columns, [[kind, right, given] for (kind, given), right in rows.items()])


def _content(encoded: bytes) -> Callable[[Path, Path], None]:
    return lambda path, _outside: _write(path, encoded)


def _write(path: Path, encoded: bytes) -> None:
    path.write_bytes(encoded)


def _link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def _directory(path: Path, _outside: Path) -> None:
    path.mkdir()


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))


def _bomb() -> bytes:
    """A PNG of a few bytes that declares 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _flipped(encoded: bytes) -> bytes:
    """The same with its middle inverted."""
    third = len(encoded) // 3
    return encoded[:third] + bytes(255 - byte for byte in encoded[third : 2 * third]) + encoded[2 * third :]


JPEG = encode(_noise(), "JPEG")
PNG = encode(_noise(), "PNG")

BREAKAGES: dict[str, tuple[str, Callable[[Path, Path], None], str]] = {
    "empty": ("jpg", _content(b""), "empty file"),
    "truncated JPEG": ("jpg", _content(JPEG[: len(JPEG) // 2]), "truncated JPEG"),
    "truncated PNG": ("png", _content(PNG[: len(PNG) // 2]), "truncated PNG"),
    "damaged PNG": ("png", _content(_flipped(PNG)), "damaged PNG"),
    "text": ("jpg", _content(b"this is a note and not a picture\n" * 20), "not a picture: text"),
    "PDF": ("png", _content(b"%PDF-1.7\n" + bytes(range(256))), "not a picture: a PDF document"),
    "TIFF": ("jpg", _content(encode(_noise(), "TIFF")), "not a picture: a TIFF picture"),
    "decompression bomb": ("png", _content(_bomb()), "too many pixels: PNG of 60000 x 60000"),
    "link out": ("jpg", _link, "a link that leads out of the folder"),
    "directory": ("jpg", _directory, "a directory, not an image file"),
}
"""How it is broken, to the ending, a function that makes it at a path, and how the reason must begin."""


if __name__ == "__main__":
    main()
