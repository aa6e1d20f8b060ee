"""Does labelling from a bucket keep up with labelling local files, when each answer takes 20 ms longer?

A server of S3's protocol (moto's) on loopback stands for the store. A proxy before it holds back what the
client sends for as long as a round trip would take. The same pictures are labelled with the same exported
model from the local disk and through the proxy, in turn; the labels must be the same. The server runs on the
same cores as the labelling and takes time from it, so the same is measured without added latency too. Rates
hold no start: the model is loaded, and the pool is listed.

Reading alone, and the listing of 10,000 objects, show what the store itself allows.

    python benchmarks/places.py
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from recording import Report, options

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
}


def serve(folder: Path, listed: int, latency: float) -> None:
    """Serves the files of a folder, and many small objects; prints the addresses without and with latency."""
    import logging

    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket("pool", "us-east-1")
    for path in sorted(folder.iterdir()):
        backend.put_object("pool", f"photos/{path.name}", path.read_bytes())
    for number in range(listed):
        backend.put_object("pool", f"many/{number % 100:02d}/{number:06d}.jpg", b"x")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    slow = asyncio.run_coroutine_threadsafe(proxy(port, latency), looping()).result()
    print(port, slow, flush=True)
    sys.stdin.read()  # until the benchmark ends


def looping() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


async def proxy(port: int, latency: float) -> int:
    """Starts a proxy that passes on what a client sends `latency` seconds later; returns its port."""

    async def passed_on(reader, writer, wait: float) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if wait:
                    await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()
            writer.close()

    async def connected(reader, writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(passed_on(reader, back, latency), passed_on(there, writer, 0))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


@contextlib.contextmanager
def store(folder: Path, listed: int, latency: float) -> Iterator[list[str]]:
    """The addresses of the server, without and with latency."""
    command = [sys.executable, __file__, "--serve", str(folder), str(listed), str(latency)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:
        yield [f"http://127.0.0.1:{port}" for port in server.stdout.readline().split()]
        server.stdin.close()


def write_pictures(folder: Path, count: int, side: int = 256) -> None:
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(small).resize((side, side)).save(folder / f"{number:05d}.jpg", quality=90)


def exported(folder: Path, photos: Path, backbone: str):
    """A model of two classes that means nothing; its backbone is what takes time."""
    import tfautolabel as tal
    from tfautolabel.export import load_exported

    some = sorted(photos.iterdir())[:20]
    labelled = tal.Dataset.from_inputs(some, ["a", "b"] * 10)
    labeler = tal.Labeler(backbone, labelled.classes, cache_dir=folder / "cache")
    labeler.fit(labelled)
    return load_exported(labeler.export(folder / "model"))


def timed(work, count: int) -> tuple[float, object]:
    begin = time.perf_counter()
    result = work()
    return count / (time.perf_counter() - begin), result


def labelling(arguments: argparse.Namespace, folder: Path, addresses: list[str], report: Report) -> None:
    import tfautolabel as tal

    photos = folder / "photos"
    labeler = exported(folder, photos, arguments.backbone)
    pools = {"local": tal.load_dataset(photos, None)}
    for name, address in zip(("no latency", "latency"), addresses, strict=True):
        os.environ["AWS_ENDPOINT_URL"] = address
        pools[name] = tal.load_dataset("s3://pool/photos", None)
    labeler.label(pools["local"], progress=False)  # what is made with the first call is in no rate
    rates: dict[str, list[float]] = {name: [] for name in pools}
    expected = None
    for number in range(arguments.rounds):
        for name in sorted(pools, reverse=bool(number % 2)):
            rate, labels = timed(
                lambda name=name: labeler.label(pools[name], progress=False), len(pools[name])
            )
            rates[name].append(rate)
            expected = labels if expected is None else expected
            if not np.array_equal(labels.probabilities, expected.probabilities):
                raise RuntimeError(f"{name}: other labels")
    for name, bar in (("no latency", None), ("latency", ">= 0.8")):
        shares = [one / other for one, other in zip(rates[name], rates["local"], strict=True)]
        added = f"{arguments.latency * 1000:.0f} ms added" if name == "latency" else "no latency added"
        report.add(
            f"labelling {len(pools[name])} pictures from a bucket, {added}", "share of the local rate",
            statistics.median(shares), bar, result=f"{statistics.median(rates[name]):,.0f} pictures/s",
            peer=f"local {statistics.median(rates['local']):,.0f}",
            ratio=f"{statistics.median(shares):.2f}, worst round {min(shares):.2f}",
            backbone=arguments.backbone,
        )  # fmt: skip
    for name in ("no latency", "latency"):
        reads = []
        for _ in range(arguments.rounds):
            rate, values = timed(
                lambda name=name: pools[name].read(range(len(pools[name]))), len(pools[name])
            )
            if not all(isinstance(value, bytes) for value in values):
                raise RuntimeError(f"{name}: unreadable")
            reads.append(rate)
        report.add(
            f"reading alone, {'' if name == 'latency' else 'no '}latency added", "objects/s",
            statistics.median(reads), result=f"{statistics.median(reads):,.0f}",
            peer=f"worst {min(reads):,.0f}",
        )  # fmt: skip


def listing(arguments: argparse.Namespace, address: str, report: Report) -> None:
    from tfautolabel.data.objects import list_objects
    from tfautolabel.data.places import Place

    os.environ["AWS_ENDPOINT_URL"] = address
    seconds = []
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        found = list_objects(Place("s3://pool/many"))
        seconds.append(time.perf_counter() - begin)
        if len(found.ids) != arguments.listed:
            raise RuntimeError(f"{len(found.ids)} objects listed")
    report.add(
        f"listing {arguments.listed:,} objects, {arguments.latency * 1000:.0f} ms added", "seconds",
        statistics.median(seconds), result=f"{statistics.median(seconds):.2f}",
        peer=f"worst {max(seconds):.2f}",
    )  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
        return
    parser = options(__doc__)
    parser.add_argument("--pictures", type=int, default=512, help="how many are labelled (%(default)s)")
    parser.add_argument(
        "--listed", type=int, default=10_000, help="how many objects are listed (%(default)s)"
    )
    parser.add_argument("--latency", type=float, default=0.02, help="seconds added (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often, in turn (%(default)s)")
    parser.add_argument("--backbone", default="packaged:efficientnet-lite0", help="(%(default)s)")
    arguments = parser.parse_args()
    os.environ.update(CREDENTIALS)
    report = Report("places", arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "photos", arguments.pictures)
        with store(folder / "photos", arguments.listed, arguments.latency) as addresses:
            labelling(arguments, folder, addresses, report)
            listing(arguments, addresses[1], report)
    report.save()


if __name__ == "__main__":
    main()
