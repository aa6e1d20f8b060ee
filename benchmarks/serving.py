"""What a server adds to a model, and what it does while versions are swapped and requests are wrong.

Two models: texts through a small table of word vectors and a head, so fast that little but the server is
measured, and pictures through EfficientNet-Lite0. `tfautolabel serve` runs in a process of its own, 16
clients with an open connection each in another, in closed loop, with one instance a request and with 32.
Beside it, in turn and on the same machine, `ExportedLabeler.predict` in process with batches of 32 of the
same inputs. Clients and server share the cores, the peer has them for itself. With texts and one instance a
request HTTP and Python are measured, not models; there one worker and two, REST and gRPC take turns.

  - throughput: rows a second of the server, as a share of `predict`; the 99th percentile of a request;
  - processor time: microseconds of one core that a row takes in `predict`, as a share of what a request with
    one row takes in the server and its client together. It says what limits them, and other work on the
    machine changes it little, unlike rates;
  - memory: the proportional set size of a server with one worker and of one with two, which run at once;
  - hot swap: requests that failed while five versions arrive under load, one of them broken;
  - malformed: answers to 1,000 malformed requests that are no 4xx with a JSON error, and what they add to the
    server's memory.

Peer: `ExportedLabeler.predict`.

    python benchmarks/serving.py [--seconds 6] [--rounds 3] [--parts ways swap]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from recording import Report, command_line, options, run_worker

CLIENTS = 16
WORDS = ["good", "great", "bad", "poor", "film", "the", "plot", "actor", "scene", "music"]


class Client(asyncio.Protocol):
    """Sends the same request again as soon as it has its answer, until the time is over."""

    def __init__(self, request: bytes, until: float, found: dict[str, Any]) -> None:
        self.request, self.until, self.found = request, until, found
        self.done = asyncio.get_running_loop().create_future()
        self.received = b""
        self.length = -1

    def connection_made(self, transport: Any) -> None:
        """Begins."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Sends the request, or hangs up when the time is over."""
        self.start = time.perf_counter()
        if self.start > self.until:
            self.transport.close()
            return
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Takes a part of the answer."""
        self.received += data
        if self.length < 0:
            head, separator, _ = self.received.partition(b"\r\n\r\n")
            if not separator:
                return
            size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.length = len(head) + 4 + int(size.split(b":")[1])
        if len(self.received) < self.length:
            return
        self.found["seconds"].append(time.perf_counter() - self.start)
        if not self.received.startswith(b"HTTP/1.1 200"):
            self.found["failed"].append(self.received[:300].decode("latin-1"))
        self.received, self.length = b"", -1
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        """Notes whether it was the server that hung up."""
        if error is not None or self.start <= self.until:
            self.found["failed"].append(f"connection lost: {error}")
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, request: bytes, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": [], "failed": [], "began": own_seconds()}
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    protocols = []
    for _ in range(CLIENTS):
        _, protocol = await loop.create_connection(
            lambda: Client(request, start + seconds, found), "127.0.0.1", port
        )
        protocols.append(protocol)
    await asyncio.gather(*(protocol.done for protocol in protocols))
    return summary(found, start)


def summary(found: dict[str, Any], start: float) -> dict[str, Any]:
    times = np.array(found["seconds"])
    return {
        "requests": len(times),
        "per_second": len(times) / (time.perf_counter() - start),
        "p50_ms": float(np.percentile(times, 50) * 1e3),
        "p99_ms": float(np.percentile(times, 99) * 1e3),
        "failed": found["failed"],
        "client_us": (own_seconds() - found["began"]) / len(times) * 1e6,
    }


def own_seconds() -> float:
    """Seconds of processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def grpc_message(instances: list[Any]) -> bytes:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "texts"
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto(instances))
    return bytes(request.SerializeToString())


async def load_grpc(port: int, message: bytes, seconds: float) -> dict[str, Any]:
    """The same as `load` by gRPC's own client, with a connection for each of the clients."""
    import grpc

    found: dict[str, Any] = {"seconds": [], "failed": [], "began": own_seconds()}
    start = time.perf_counter()
    own = [("grpc.use_local_subchannel_pool", 1)]

    async def ask() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=own) as channel:
            predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            while (begin := time.perf_counter()) < start + seconds:
                try:
                    await predict(message)
                except grpc.RpcError as error:
                    found["failed"].append(str(error)[:300])
                found["seconds"].append(time.perf_counter() - begin)

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return summary(found, start)


def http_request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


def export_models(data: Path, folder: Path, *names: str) -> None:
    """Writes models/texts/1 and perhaps models/pictures/1; run in a process of its own."""
    import tensorflow as tf

    import tfautolabel as tal

    rng = np.random.default_rng(0)
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(len(WORDS), dtype=tf.int64)), 1
    )

    class Texts(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = table
            self.vectors = tf.Variable(rng.normal(size=(len(WORDS) + 1, 64)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts: tf.Tensor) -> tf.Tensor:
            ids = self.table.lookup(tf.strings.split(texts).to_tensor("the"))
            return tf.reduce_mean(tf.gather(self.vectors, ids), axis=1)

    tf.saved_model.save(Texts(), str(folder / "module"))
    texts = tal.Labeler(str(folder / "module"), ("praise", "blame"))
    inputs = [" ".join([word, *rng.choice(WORDS[4:], 9)]) for word in WORDS[:4] * 5]
    dataset = tal.Dataset.from_inputs(inputs, ["praise", "praise", "blame", "blame"] * 5)
    texts.fit(dataset, progress=False)
    texts.export(folder / "models" / "texts" / "1")
    if "pictures" not in names:
        return
    import datasets

    labelled = tal.load_dataset(datasets.fashion_mnist(data, "train", 10))
    pictures = tal.Labeler("packaged:efficientnet-lite0", labelled.classes)
    pictures.fit(labelled, progress=False)
    pictures.export(folder / "models" / "pictures" / "1")


def inputs_of(name: str, data: Path) -> tuple[list[bytes], list[Any]]:
    """32 inputs as the graph takes them and as JSON has them."""
    if name == "texts":
        rng = np.random.default_rng(1)
        found = [" ".join(rng.choice(WORDS, 10)) for _ in range(32)]
        return [text.encode() for text in found], found
    import datasets

    photos = sorted(datasets.photos(data, 32, 256).rglob("*.jpg"))[:32]
    contents = [path.read_bytes() for path in photos]
    return contents, [{"b64": base64.b64encode(content).decode()} for content in contents]


def predict_rate(folder: str, name: str, data: str, seconds: float) -> dict[str, float]:
    """Rows a second of `predict`; run in a process of its own."""
    from tfautolabel.export import load_exported

    labeler = load_exported(folder)
    batch, _ = inputs_of(name, Path(data))
    for _ in range(3):
        labeler.predict(batch)
    count, start, began = 0, time.perf_counter(), own_seconds()
    while time.perf_counter() - start < seconds:
        labeler.predict(batch)
        count += len(batch)
    took = time.perf_counter() - start
    return {"per_second": count / took, "row_us": (own_seconds() - began) / count * 1e6}


class Server:
    """`tfautolabel serve` in a process of its own; a context manager."""

    def __init__(self, folder: Path, *flags: str) -> None:
        command = [*command_line(), "serve", str(folder), "--port", "0", *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = json.loads(line)
            if found["message"] == "serving":
                self.port, self.grpc_port = found["port"], found.get("grpc_port")
                self.pids = found.get("workers", [self.process.pid])
                break
        else:
            raise RuntimeError("the server did not start")
        # Its further lines are few; a full pipe would stop it.
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def memory(self) -> float:
        """Megabytes that are resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def proportional_memory(self) -> float:
        """Megabytes of all processes that answer, where a page that n processes share counts as one nth."""
        lines = [
            line
            for pid in self.pids
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        ]
        return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6

    def seconds(self) -> float:
        """Seconds of processor time that all processes that answer have used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")

    def load(self, folder: Path, path: str, body: bytes, seconds: float) -> dict[str, Any]:
        """What the clients saw, in a process of their own."""
        file = folder / "request.bin"
        file.write_bytes(http_request(path, body))
        return run_worker([__file__, "--worker", "load", str(self.port), str(file), str(seconds)])

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()


def measure_throughput(report: Report, arguments: argparse.Namespace, folder: Path, name: str) -> None:
    _, instances = inputs_of(name, arguments.data)
    path = f"/v1/models/{name}:predict"
    bodies = {count: json.dumps({"instances": instances[:count]}).encode() for count in (32, 1)}
    model = str(folder / "models" / name / "1")
    rates: list[float] = []
    found: dict[int, list[dict[str, Any]]] = {32: [], 1: []}
    with Server(folder / "models") as server:
        for count in bodies:
            server.load(folder, path, bodies[count], 1.0)
        for number in range(arguments.rounds):
            worker = ["--worker", "predict", model, name, str(arguments.data), str(arguments.seconds)]
            rates.append(run_worker([__file__, *worker])["per_second"])
            for count in bodies:
                found[count].append(server.load(folder, path, bodies[count], arguments.seconds))
            print(f"{name}, round {number + 1} of {arguments.rounds}", flush=True)
    for count, rounds in found.items():
        per_second = [each["per_second"] * count for each in rounds]
        ratio = float(np.median([mine / peer for mine, peer in zip(per_second, rates, strict=True)]))
        p99 = float(np.median([each["p99_ms"] for each in rounds]))
        plural = "instance" if count == 1 else "instances"
        report.add(
            f"{name}, {count} {plural} a request",
            f"rows a second of {CLIENTS} clients, share of predict in process with batches of 32",
            ratio,
            None if (name, count) == ("texts", 1) else ">= 0.7",
            result=f"{np.median(per_second):,.0f} rows/s, p99 {p99:.1f} ms",
            peer=f"predict: {np.median(rates):,.0f} rows/s",
            ratio=f"{ratio:.2f}",
            rounds=rounds,
            predict=rates,
            failed=sum(len(each["failed"]) for each in rounds),
        )


WAYS = {f"{protocol}, {workers}": (protocol, workers) for protocol in ("REST", "gRPC") for workers in (1, 2)}


def measure_ways(report: Report, arguments: argparse.Namespace, folder: Path) -> None:
    """One worker and two, REST and gRPC, in turn, with one text a request."""
    _, instances = inputs_of("texts", arguments.data)
    body = json.dumps({"instances": instances[:1]}).encode()
    path, file = "/v1/models/texts:predict", folder / "message.bin"
    file.write_bytes(grpc_message(instances[:1]))
    model = str(folder / "models" / "texts" / "1")
    predict = ["--worker", "predict", model, "texts", str(arguments.data), str(arguments.seconds)]
    peers: list[dict[str, Any]] = []
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with contextlib.ExitStack() as stack:
        flags = ("--grpc-port", "0", "--workers")
        servers = {
            count: stack.enter_context(Server(folder / "models", *flags, str(count))) for count in (1, 2)
        }

        def ask(protocol: str, workers: int, seconds: float) -> dict[str, Any]:
            server = servers[workers]
            before = server.seconds()
            if protocol == "REST":
                asked = server.load(folder, path, body, seconds)
            else:
                load = ["--worker", "load-grpc", str(server.grpc_port), str(file), str(seconds)]
                asked = run_worker([__file__, *load])
            return {**asked, "server_us": (server.seconds() - before) / asked["requests"] * 1e6}

        for way in WAYS.values():
            ask(*way, 1.0)
        for number in range(arguments.rounds):
            peers.append(run_worker([__file__, *predict]))
            for name, way in WAYS.items():
                found[name].append(ask(*way, arguments.seconds))
            print(f"ways, round {number + 1} of {arguments.rounds}", flush=True)
        memory = {count: server.proportional_memory() for count, server in servers.items()}
    for name, (protocol, workers) in WAYS.items():
        add_way(report, f"{protocol}, {workers} worker{'s' * (workers > 1)}", found[name], peers)
    report.add(
        "memory of two workers",
        "proportional set size of both, as a multiple of one server's",
        memory[2] / memory[1],
        result=f"{memory[2]:.0f} MB",
        peer=f"one: {memory[1]:.0f} MB",
    )


def add_way(report: Report, name: str, rounds: list[dict[str, Any]], peers: list[dict[str, Any]]) -> None:
    shares = [
        peer["row_us"] / (mine["server_us"] + mine["client_us"])
        for mine, peer in zip(rounds, peers, strict=True)
    ]
    rate, p99, server, client = (
        float(np.median([each[key] for each in rounds]))
        for key in ("per_second", "p99_ms", "server_us", "client_us")
    )
    row, peer_rate = (float(np.median([each[key] for each in peers])) for key in ("row_us", "per_second"))
    report.add(
        f"texts, 1 instance a request, {name}",
        f"processor time of a row in predict, batches of 32, as a share of a request of {CLIENTS} clients",
        float(np.median(shares)),
        ">= 0.1" if name == "REST, 2 workers" else None,
        result=f"{server:.0f} µs in the server, {client:.0f} in the client; "
        f"{rate:,.0f} rows/s, p99 {p99:.1f} ms",
        peer=f"predict: {row:.1f} µs; {peer_rate:,.0f} rows/s",
        ratio=f"{np.median(shares):.3f}",
        rounds=rounds,
        predict=peers,
        worst=min(shares),
        failed=sum(len(each["failed"]) for each in rounds),
    )


def measure_swap(report: Report, arguments: argparse.Namespace, folder: Path, workers: int) -> None:
    source = folder / "models" / "texts" / "1"
    models = folder / f"swapped-{workers}"
    shutil.copytree(source, models / "texts" / "1")
    _, instances = inputs_of("texts", arguments.data)
    body = json.dumps({"instances": instances[:1]}).encode()
    with Server(models, "--poll", "0.5", "--workers", str(workers)) as server:
        (folder / "request.bin").write_bytes(http_request("/v1/models/texts:predict", body))
        command = [sys.executable, __file__, "--worker", "load", str(server.port)]
        clients = subprocess.Popen(
            [*command, str(folder / "request.bin"), "45"], stdout=subprocess.PIPE, text=True
        )
        swapped = []
        for version in range(2, 7):
            time.sleep(2)
            if version == 4:  # copied by half: the variables are cut off
                shutil.copytree(source, models / "texts" / "4")
                broken = next((models / "texts" / "4" / "variables").glob("*.data*"))
                broken.write_bytes(broken.read_bytes()[:-20])
            else:
                shutil.copytree(source, models / f".{version}")
                (models / f".{version}").rename(models / "texts" / str(version))
            state, wanted = "", "END" if version == 4 else "AVAILABLE"
            deadline = time.monotonic() + 60
            while state != wanted and time.monotonic() < deadline:
                time.sleep(0.1)
                status, answer = server.ask("GET", f"/v1/models/texts/versions/{version}")
                if status == 200:
                    state = json.loads(answer)["model_version_status"][0]["state"]
            swapped.append(f"{version}: {state}")
        found = json.loads(clients.communicate(timeout=120)[0].strip().splitlines()[-1])
    report.add(
        "hot swap under load" + (f", {workers} workers" if workers > 1 else ""),
        f"failed requests of {CLIENTS} clients while five versions arrive, one of them broken",
        len(found["failed"]),
        "<= 0",
        result=f"{len(found['failed'])} of {found['requests']:,} failed, p99 {found['p99_ms']:.1f} ms",
        versions=swapped,
        failures=found["failed"][:5],
    )


def malformed_requests(name: str) -> Iterator[tuple[str, str, bytes | None]]:
    """Requests without end, each wrong in a way of its own."""
    rng = np.random.default_rng(0)
    path = f"/v1/models/{name}:predict"
    long = b'{"instances": ["' + b"x" * 200_000 + b'"'
    kinds: list[Callable[[], tuple[str, str, bytes | None]]] = [
        lambda: ("POST", path, rng.bytes(int(rng.integers(1, 5000)))),
        lambda: ("POST", path, b"[" * int(rng.integers(1, 100_000))),
        lambda: ("POST", path, long),
        lambda: ("POST", path, b'{"instances": []}'),
        lambda: ("POST", path, b'{"instances": "good"}'),
        lambda: ("POST", path, b'{"instances": [%d]}' % rng.integers(0, 9)),
        lambda: ("POST", path, b'{"instances": [{"b64": "%d!"}]}' % rng.integers(0, 9)),
        lambda: ("POST", path, b'{"instances": [["good"], ["bad"]]}'),
        lambda: ("POST", path, b'{"instances": ["good"], "inputs": ["good"]}'),
        lambda: ("POST", path, b'{"instances": [{"nothing": 1}]}'),
        lambda: ("POST", path, b'{"signature_name": "s%d", "instances": ["a"]}' % rng.integers(0, 999)),
        lambda: ("POST", path, b'{"signature_name": 3, "instances": ["a"]}'),
        lambda: ("POST", path, b'{"instances": [%s]}' % b",".join([b'"a"'] * 2000)),
        lambda: ("POST", path, b""),
        lambda: ("POST", f"/v1/models/m{rng.integers(0, 10**9)}:predict", b'{"instances": ["a"]}'),
        lambda: ("POST", f"/v1/models/{name}/versions/{rng.integers(2, 10**9)}:predict", b"{}"),
        lambda: ("PUT", path, b"{}"),
        lambda: ("GET", f"/v1/{rng.integers(0, 10**9)}", None),
        lambda: ("GET", f"/{rng.integers(0, 10**9)}", None),
        lambda: ("DELETE", "/metrics", None),
    ]
    while True:
        yield from (kind() for kind in kinds)


def measure_malformed(report: Report, folder: Path) -> None:
    wrong: list[str] = []
    with Server(folder / "models") as server:
        requests = malformed_requests("texts")

        def send(count: int) -> None:
            for _ in range(count):
                method, path, body = next(requests)
                status, answer = server.ask(method, path, body)
                is_json = answer[:1] == b"{" and list(json.loads(answer)) == ["error"]
                if not (400 <= status < 500 and is_json):
                    wrong.append(f"{method} {path} {str(body)[:60]}: {status} {answer[:80]!r}")

        send(200)  # what the first requests of each kind need stays in memory
        wrong.clear()
        before = server.memory()
        send(1000)
        after = server.memory()
    report.add(
        "malformed requests",
        "of 1,000, answers that are no 4xx with a JSON error",
        len(wrong),
        "<= 0",
        result=str(len(wrong)),
        wrong=wrong[:5],
    )
    report.add(
        "memory after malformed requests",
        "MB that 1,000 of them add, after 200 before",
        after - before,
        "<= 10",
        result=f"{before:.0f} to {after:.0f} MB",
    )


def work(kind: str, *arguments: str) -> Any:
    """What the processes of their own do."""
    if kind in ("load", "load-grpc"):
        port, file, seconds = arguments
        ask = load if kind == "load" else load_grpc
        return asyncio.run(ask(int(port), Path(file).read_bytes(), float(seconds)))
    if kind == "predict":
        folder, name, data, seconds = arguments
        return predict_rate(folder, name, data, float(seconds))
    export_models(Path(arguments[0]), Path(arguments[1]), *arguments[2:])
    return {}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(*sys.argv[2:])))
        return
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", help="texts, ways, pictures, swap, swap-workers, malformed")
    arguments = parser.parse_args()
    report = Report("serving", arguments)
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], None]] = {
            "texts": lambda: measure_throughput(report, arguments, folder, "texts"),
            "ways": lambda: measure_ways(report, arguments, folder),
            "pictures": lambda: measure_throughput(report, arguments, folder, "pictures"),
            "swap": lambda: measure_swap(report, arguments, folder, 1),
            "swap-workers": lambda: measure_swap(report, arguments, folder, 2),
            "malformed": lambda: measure_malformed(report, folder),
        }
        wanted = arguments.parts or list(parts)
        run_worker([__file__, "--worker", "export", str(arguments.data), str(folder), *wanted])
        for part in wanted:
            parts[part]()
    report.save()


if __name__ == "__main__":
    main()
