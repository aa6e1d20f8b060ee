"""Is a pool of another population noticed, and one of the same population let be?

    none     labels and pool of one set                                 no difference must be found
    shares   the pool has other shares of the classes, up to 5 : 1      no other inputs may be found
    inputs   another source of reviews, a speaker without a label,      other inputs must be found
             damaged pictures (noise, blur, JPEG, light, contrast)

Two tests: that of a run, with the labels (`tfautolabel.measures.shift`), and that of an exported model, with
statistics of half the set as its pool and 20 or 200 new examples (`tfautolabel.trust.reference`). Levels and
limits were chosen on seeds 0 to 39 of the same sets; seeds from 100 on chose nothing.

    python benchmarks/domain_shift.py [--draws 30] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
from accuracy import draw
from PIL import Image, ImageFilter
from recording import Report
from trust_sets import Features, read_features, trust_options

import tfautolabel as tal
from tfautolabel.heads import build_head
from tfautolabel.measures.shift import find_shift
from tfautolabel.training import train_head
from tfautolabel.trust.reference import LEVEL, Reference

FIRST_SEED, LABELS, NEW, RAREST = 100, (8, 20), (20, 200), 0.2
SETS = ("fashion-mnist", "uci", "digits")
DAMAGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "noise": lambda picture, rng: _of(_values(picture) + rng.normal(0, 40, _values(picture).shape)),
    "blur": lambda picture, _: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "jpeg": lambda picture, _: picture,
    "light": lambda picture, _: _of(_values(picture) + 70),
    "contrast": lambda picture, _: _of((_values(picture) - _values(picture).mean()) * 0.35 + 100),
}


class Case(NamedTuple):
    """Where labels and a pool come from: (n,) bool rows of `labels`, and of `pool` if that is another set."""

    name: str
    labels: Features
    rows: np.ndarray
    pool: Features | None = None
    pool_rows: np.ndarray | None = None


def cases(found: dict[str, Features], damaged: dict[str, Features]) -> Iterator[Case]:
    """Every case in which the inputs differ."""
    if "uci" in found:
        source = np.array([name.split("-")[0] for name in found["uci"].ids])
        for own in np.unique(source):
            for other in np.unique(source[source != own]):
                yield Case(f"{own} to {other}", found["uci"], source == own, found["uci"], source == other)
    if "digits" in found:
        speaker = np.array([Path(name).stem.split("_")[1] for name in found["digits"].ids])
        for one in np.unique(speaker):
            yield Case(f"digits of {one}", found["digits"], speaker != one, found["digits"], speaker == one)
    for name, features in damaged.items():
        own = found["fashion-mnist"]
        yield Case(
            f"fashion, {name}", own, np.ones(len(own.ids), bool), features, np.ones(len(features.ids), bool)
        )


def damaged_pictures(data: Path) -> dict[str, Features]:
    """Features of 400 test pictures, damaged in each way."""
    backbone, found = tal.load_backbone("packaged:efficientnet-lite0"), {}
    folder = Path(datasets.fashion_mnist(data, "test", 300))
    files = [path for number, path in enumerate(sorted(folder.rglob("*.*"))) if number % 300 < 40]
    names = sorted({path.parent.name for path in files})
    class_ids = np.array([names.index(path.parent.name) for path in files])
    for name, damage in DAMAGES.items():
        kept = data / "trust" / f"fashion-{name}.npz"
        if not kept.exists():
            rng = np.random.default_rng(0)
            pictures = [
                _encoded(damage(Image.open(path).convert("L"), rng), name == "jpeg") for path in files
            ]
            pool = tal.Dataset.from_inputs(pictures)
            np.savez(kept, values=tal.extract_features(pool, backbone, use_cache=False).features)
        with np.load(kept) as arrays:
            found[name] = Features(arrays["values"], class_ids, np.array([path.name for path in files]))
    return found


def _values(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float64)


def _of(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _encoded(picture: Image.Image, as_jpeg: bool) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=12) if as_jpeg else picture.save(stream, "PNG")
    return stream.getvalue()


def fitted(features: Features, rows: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """The default head on some rows: features to probabilities."""
    k = int(features.class_ids.max()) + 1
    head = build_head("linear", features.values.shape[1], k, seed)
    train_head(head, features.values[rows], features.class_ids[rows], seed=seed)
    return lambda values: np.asarray(head(values, training=False))


def with_shares(class_ids: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some of the rows, so that the commonest class is five times as frequent as the rarest."""
    k = int(class_ids.max()) + 1
    shares = np.geomspace(1.0, RAREST, k)[rng.permutation(k)]
    return rows[rng.random(len(rows)) < shares[class_ids[rows]]]


def of_run(
    labels: Features, own: np.ndarray, pool: Features, others: np.ndarray, per_class: int, seed: int
) -> str:
    """What the test of a run says of a pool, `others` (m,) int64, with labels drawn from `own` (n,) int64."""
    rows = own[draw(labels.class_ids[own], per_class, seed)]
    others = np.setdiff1d(others, rows) if pool is labels else others
    head = fitted(labels, rows, seed)
    shift = find_shift(
        labels.values[rows], labels.class_ids[rows], pool.values[others], head(pool.values[others]), seed=seed
    )
    return shift.changed


def of_model(
    labels: Features, own: np.ndarray, pool: Features, others: np.ndarray, count: int, seed: int
) -> bool:
    """Whether a model that was judged on half of `own` notices a difference in `count` of `others`."""
    rng = np.random.default_rng(seed)
    rows = own[draw(labels.class_ids[own], 20, seed)]
    head = fitted(labels, rows, seed)
    left = rng.permutation(np.setdiff1d(own, rows))
    half, rest = np.array_split(left, 2)
    others = np.intersect1d(others, rest) if pool is labels and np.isin(others, own).all() else others
    new = pool.values[rng.permutation(others)[:count]]
    k = int(labels.class_ids.max()) + 1
    known = Reference.of(labels.values[half], head(labels.values[half]).argmax(axis=1), k, seed=seed)
    return known is not None and known.p_value(new, head(new).argmax(axis=1)) <= LEVEL


def alike(report: Report, found: dict[str, Features], draws: int) -> None:
    """Adds the rows of one population, with its own and with other shares of the classes."""
    for unequal in (False, True):
        run, model = [], []
        for features in found.values():
            everything = np.arange(len(features.ids))
            for seed in range(FIRST_SEED, FIRST_SEED + draws):
                others = everything
                if unequal:
                    others = with_shares(features.class_ids, everything, np.random.default_rng(seed))
                run += [of_run(features, everything, features, others, count, seed) for count in LABELS]
                model += [of_model(features, everything, features, others, count, seed) for count in NEW]
        name = "other shares" if unequal else "the same population"
        wrong = [said == "inputs" if unequal else said != "nothing" for said in run]
        add(
            report,
            f"{name}, a run",
            "share of draws called other inputs" if unequal else "false alarms",
            wrong,
            "<= 0.02",
        )
        add(report, f"{name}, a model", "share of draws called another population", model, "<= 0.02")


def different(report: Report, every: list[Case], draws: int) -> None:
    """Adds the rows of other inputs; the worst case beside the mean."""
    run: dict[str, list[bool]] = {}
    model: dict[str, list[bool]] = {}
    for case in every:
        own, others = np.flatnonzero(case.rows), np.flatnonzero(case.pool_rows)
        for seed in range(FIRST_SEED, FIRST_SEED + max(1, draws // 3)):
            for count in LABELS:
                said = of_run(case.labels, own, case.pool, others, count, seed)
                run.setdefault(case.name, []).append(said == "inputs")
            for count in NEW:
                noticed = of_model(case.labels, own, case.pool, others, count, seed)
                model.setdefault(case.name, []).append(noticed)
    for name, noticed in (("a run", run), ("a model", model)):
        worst = min(noticed, key=lambda one: np.mean(noticed[one]))
        together = [one for found in noticed.values() for one in found]
        add(report, f"other inputs, {name}", f"share noticed of {len(noticed)} cases", together, ">= 0.95",
            f", worst {worst}: {np.mean(noticed[worst]):.3f}")  # fmt: skip


def add(report: Report, row: str, measure: str, found: list[bool], bar: str, more: str = "") -> None:
    share = float(np.mean(found))
    report.add(row, f"{measure}, {len(found)} draws", share, bar, result=f"{share:.4f}{more}")
    print(row, report.rows[-1]["result"], flush=True)


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--draws", type=int, default=30, help="of each case; a third where inputs differ")
    parser.set_defaults(sets=list(SETS))
    arguments: argparse.Namespace = parser.parse_args()
    report = Report("domain_shift", arguments)
    found = read_features(arguments)
    damaged = damaged_pictures(arguments.data) if "fashion-mnist" in found else {}
    alike(report, found, arguments.draws)
    different(report, list(cases(found, damaged)), arguments.draws)
    report.save()


if __name__ == "__main__":
    main()
