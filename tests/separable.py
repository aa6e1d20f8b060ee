"""Pictures that a backbone with random weights can tell apart: noise around one colour a class."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 40, 40)}
CLASSES = tuple(COLOURS)

NAMES = ("Блау, 'blau'", "[green]緑[/green]", "röd 🟥")
"""Names for the same classes that need UTF-8, quoting, and to be kept from markup."""


def pixels(name, number=0):
    """(24, 24, 3) uint8 of a class; the number tells pictures of one class apart."""
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    return np.clip(np.array(COLOURS[name]) + rng.normal(0, 25, (24, 24, 3)), 0, 255).astype(np.uint8)


def picture(name, number=0, kind="PNG", **options):
    """The bytes of an encoded picture of a class."""
    stream = io.BytesIO()
    Image.fromarray(pixels(name, number)).save(stream, kind, **options)
    return stream.getvalue()


def write_folder_per_class(folder, per_class, first=0, classes=CLASSES):
    """Writes `per_class` pictures of each class into a folder of its own."""
    for name in classes:
        Path(folder, name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            Path(folder, name, f"{number:03d}.png").write_bytes(picture(name, number))
    return Path(folder)


def write_flat(folder, per_class, first=0, classes=CLASSES):
    """Writes pictures into one folder, and returns what is on them: file name to class."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    truth = {}
    for number in range(first, first + per_class):
        for name in classes:
            file = f"{len(truth):03d}.png"
            Path(folder, file).write_bytes(picture(name, number))
            truth[file] = name
    return truth
