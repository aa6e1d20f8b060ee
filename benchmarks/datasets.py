"""Public picture sets from package managers, written as ordinary image files in a folder per class.

    fashion-mnist  28 x 28 grey PNG, 10 kinds of clothing, train and test part   apt dataset-fashion-mnist
    tux-stamps     PNG with transparency, 7 kinds of things, cartoons left out   apt tuxpaint-stamps-default
    tiles          64 x 64 grey PNG, brick, grass and gravel                     pip scikit-image (pinned)
    photos         JPEG crops of colour photographs, no classes                  pip scikit-image (pinned)

Nothing is installed. Debian packages are fetched with `apt-get download` (run `apt-get update` once before)
and unpacked with `dpkg -x`; scikit-image's photographs come out of the wheel that `tfautolabel demo` uses.
What is there already is not made again.

    python benchmarks/datasets.py [--data FOLDER]      # makes what the benchmarks need, and counts it
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from recording import options, print_table

from tfautolabel._wheels import fetch_member
from tfautolabel.jobs import demo

CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
STAMP_FOLDERS = ("animals/birds", "animals/mammals", "food", "plants", "clothes", "household", "vehicles")
COLOUR_PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def fashion_mnist(data: Path, part: str, per_class: int, seed: int = 0) -> Path:
    """A folder per class with `per_class` pictures of the official part "train" or "test".

    A smaller draw is part of a larger one, and a picture has the same name in both.
    """

    def make(folder: Path) -> None:
        root = debian_package(data, "dataset-fashion-mnist") / "usr/share/datasets/fashion-mnist"
        stem = {"train": "train", "test": "t10k"}[part]
        images, labels = (
            _read_idx(root / f"{stem}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")
        )
        order = np.random.default_rng(seed).permutation(len(labels))
        for class_id, name in enumerate(CLOTHES):
            (folder / name).mkdir()
            for row in order[labels[order] == class_id][:per_class]:
                Image.fromarray(images[row]).save(folder / name / f"{part}-{row:05d}.png")

    return once(data / f"fashion-mnist-{part}-{per_class}-seed{seed}", make)


def tux_stamps(data: Path) -> Path:
    """A folder per class of stamps; cartoons and mirrored copies are left out."""

    def make(folder: Path) -> None:
        root = debian_package(data, "tuxpaint-stamps-default") / "usr/share/tuxpaint/stamps"
        for source in STAMP_FOLDERS:
            target = folder / source.rsplit("/", 1)[-1]
            target.mkdir()
            for path in sorted((root / source).rglob("*.png")):
                name = path.relative_to(root / source).as_posix()
                if "cartoon" not in name and not path.stem.endswith("_mirror"):
                    shutil.copyfile(path, target / name.replace("/", "_"))

    return once(data / "tux-stamps", make)


def tiles(data: Path) -> Path:
    """A folder per class of the demo's tiles, 64 of each photograph."""

    def make(folder: Path) -> None:
        for name in demo.PHOTOS:
            (folder / name).mkdir()
            photo = _photo(f"{name}.png").convert("L")
            for top in range(0, photo.height - demo.TILE + 1, demo.TILE):
                for left in range(0, photo.width - demo.TILE + 1, demo.TILE):
                    tile = photo.crop((left, top, left + demo.TILE, top + demo.TILE))
                    tile.save(folder / name / f"{top:03d}-{left:03d}.png")

    return once(data / "tiles", make)


def photos(data: Path, count: int, side: int, seed: int = 0) -> Path:
    """`count` square JPEG files of `side` pixels, cut at random from four colour photographs."""

    def make(folder: Path) -> None:
        rng = np.random.default_rng(seed)
        originals = [_photo(name).convert("RGB") for name in COLOUR_PHOTOS]
        for number in range(count):
            crop = _random_crop(originals[number % len(originals)], rng)
            crop.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number:04d}.jpg", quality=90)

    return once(data / f"photos-{count}-{side}px-seed{seed}", make)


def _random_crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A square of half to all of the photograph's shorter side."""
    side = int(rng.integers(min(photo.size) // 2, min(photo.size) + 1))
    left, top = (int(rng.integers(0, length - side + 1)) for length in photo.size)
    return photo.crop((left, top, left + side, top + side))


def _photo(name: str) -> Image.Image:
    return Image.open(io.BytesIO(fetch_member(demo._WHEEL, f"skimage/data/{name}").read_bytes()))


def debian_package(data: Path, name: str) -> Path:
    """The unpacked content of a Debian package, which is not installed."""

    def make(folder: Path) -> None:
        # apt's own user may not write into a private folder; whoever runs this may.
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
        package.unlink()

    return once(data / "debian" / name, make)


def _read_idx(path: Path) -> np.ndarray:
    """One of MNIST's files: a magic number whose last byte is the rank, the shape, then the bytes."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Lets `make` fill a folder beside the wanted one, which takes its name when it is whole."""
    if not folder.is_dir():
        unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        unfinished.mkdir(parents=True)
        try:
            make(unfinished)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def main() -> None:
    parser = options(__doc__)
    arguments = parser.parse_args()
    data = arguments.data
    made = {
        "fashion-mnist train": fashion_mnist(data, "train", 1000),
        "fashion-mnist test": fashion_mnist(data, "test", 300),
        "tux-stamps": tux_stamps(data),
        "tiles": tiles(data),
        "photos": photos(data, 960, 256),
    }
    counts = []
    for name, folder in made.items():
        files = sum(path.is_file() for path in folder.rglob("*"))
        counts.append([name, files, sum(path.is_dir() for path in folder.iterdir()), folder])
    print_table(["set", "files", "classes", "folder"], counts)


if __name__ == "__main__":
    main()
