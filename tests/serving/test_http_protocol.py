"""The protocol on bytes in memory: whatever the network does to requests, each is answered, in order."""

import asyncio
import functools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("httptools")
uvicorn = pytest.importorskip("uvicorn")
from uvicorn.server import ServerState  # noqa: E402

from tfautolabel.serving.http_protocol import MAX_HEADER_BYTES, bounded_protocol  # noqa: E402

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
WEBSOCKET = b"UPGRADE:websocket\r\nconnection: keep-alive, upgrade\r\n"
LIKE_A_HEAD = (
    b"\r\n\r\nPOST /smuggled HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nupgrade: x\r\n\r\n"
)


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent, self.closed, self.paused = bytearray(), False, False

    def write(self, data):
        if not self.closed:
            self.sent += data

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


async def echo(scope, receive, send):
    """Answers with what it was asked, after a few turns of the loop."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    for _ in range(len(body) % 3):
        await asyncio.sleep(0)
    names = [name.decode() for name, _ in scope["headers"]]
    told = [scope["method"], scope["path"], body.decode("latin-1"), names]
    content = json.dumps(told).encode()
    headers = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@functools.cache
def configured(app, seconds):
    protocol = bounded_protocol(seconds)
    options = {"lifespan": "off", "log_config": None, "access_log": False}
    config = uvicorn.Config(app, http=protocol, ws="none", **options)
    config.load()
    return protocol, config


class Connection:
    """One connection to the protocol; `seconds` for a head."""

    def __init__(self, app=echo, seconds=60.0):
        protocol, config = configured(app, seconds)
        self.wire = Wire()
        self.protocol = protocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.wire)

    async def receive(self, *pieces, turns=0):
        """Brings data as the network may: not while reading is paused, and `turns` of the loop apart."""
        for piece in pieces:
            for _ in range(turns):
                await asyncio.sleep(0)
            for _ in range(1000):
                if not self.wire.paused:
                    break
                await asyncio.sleep(0)
            assert not self.wire.paused
            if piece and not self.wire.closed:
                self.protocol.data_received(bytes(piece))

    async def settle(self):
        """Until nothing is under way, or the connection is closed."""
        for _ in range(10_000):
            await asyncio.sleep(0)
            if not self.protocol.tasks or self.wire.closed:
                return
        raise AssertionError("a request is not answered")

    def end(self):
        self.protocol.connection_lost(None)

    def answers(self):
        """Status and content of what was sent."""
        found, rest = [], bytes(self.wire.sent)
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(re.search(rb"content-length: (\d+)", head)[1])
            found.append((int(head.split()[1]), json.loads(rest[:size])))
            rest = rest[size:]
        return found


async def exchange(pieces, turns=0, app=echo):
    connection = Connection(app)
    await connection.receive(*pieces, turns=turns)
    await connection.settle()
    connection.end()
    return connection.answers()


def request(number, body=b"", offer=b"", chunked=False, trailer=b"", method=b"POST"):
    head = b"%s /%d HTTP/1.1\r\nHost: localhost\r\n%sX-Number: %d\r\n" % (method, number, offer, number)
    if not chunked:
        return head + (b"Content-Length: %d\r\n" % len(body) if body else b"") + b"\r\n" + body
    half = len(body) // 2
    parts = [b"%x;note=upgrade\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def expected(number, body=b"", method="POST"):
    return [method, f"/{number}", body.decode("latin-1")]


def assert_echoed(found, bodies):
    assert [status for status, _ in found] == [200] * len(bodies)
    assert [told[:3] for _, told in found] == [expected(*body) for body in enumerate(bodies)]
    for _, (*_, names) in found:
        assert not {"upgrade", "http2-settings"} & set(names)
        assert "x-number" in names


THREE = [
    (b"first" + LIKE_A_HEAD, {"offer": OFFER}),
    (b"second" + LIKE_A_HEAD, {"offer": WEBSOCKET, "chunked": True, "trailer": b"Upgrade: h2c\r\n"}),
    (b"", {"offer": OFFER}),
    (b"last", {}),
]


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_pipelined_requests_cut_anywhere(turns):
    """All of a segment, and each way to make two segments of it."""
    stream = b"".join(request(number, body, **how) for number, (body, how) in enumerate(THREE))

    async def all_cuts():
        for cut in range(len(stream)):
            found = await exchange((stream[:cut], stream[cut:]), turns)
            assert_echoed(found, [body for body, _ in THREE])

    asyncio.run(all_cuts())


def test_pipelined_requests_byte_by_byte():
    stream = b"".join(request(number, body, **how) for number, (body, how) in enumerate(THREE))
    pieces = [stream[place : place + 1] for place in range(len(stream))]
    for turns in (0, 1):
        assert_echoed(asyncio.run(exchange(pieces, turns)), [body for body, _ in THREE])


bodies = st.one_of(
    st.binary(max_size=40),
    st.just(LIKE_A_HEAD),
    st.just(OFFER + b"\r\n"),
    st.builds(lambda times: LIKE_A_HEAD * times, st.integers(1, 40)),
)
requests = st.tuples(bodies, st.sampled_from([b"", OFFER, WEBSOCKET]), st.booleans())


@settings(max_examples=100, deadline=None)
@given(data=st.data(), sent=st.lists(requests, min_size=1, max_size=6), turns=st.integers(0, 4))
def test_any_requests_cut_anywhere(data, sent, turns):
    stream = b"".join(
        request(number, body, offer, chunked) for number, (body, offer, chunked) in enumerate(sent)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert_echoed(asyncio.run(exchange(pieces, turns)), [body for body, _, _ in sent])


def test_hundreds_of_requests_in_one_segment():
    sent = [b"%d" % number for number in range(500)]
    stream = b"".join(request(number, body, OFFER) for number, body in enumerate(sent))

    async def ask():
        connection = Connection()
        await connection.receive(stream)
        await connection.settle()
        return connection.answers()

    assert_echoed(asyncio.run(ask()), sent)


@pytest.mark.parametrize("offer", [OFFER, b""])
def test_what_a_head_says_beside_its_offer_stays(offer):
    """Options of the connection, the method, the query, the version."""
    close = offer + b"connection: close\r\n"
    stream = request(0, b"a", close, method=b"PUT") + request(1, b"never answered")
    (found,) = asyncio.run(exchange([stream]))
    assert found[1][:3] == expected(0, b"a", "PUT")
    old = b"GET /a%20b?c=d HTTP/1.0\r\n" + offer + b"\r\n" + request(1)
    ((status, told),) = asyncio.run(exchange([old]))
    assert (status, told[:3]) == (200, ["GET", "/a b", ""])


BAD = {
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nhost: x\n\n", 400),
    "TLS": (b"\x16\x03\x01\x02", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a proxy's method": (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\n" + OFFER + b"content-length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a bad chunk": (b"POST / HTTP/1.1\r\n" + OFFER + b"transfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
    "a long head": (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (MAX_HEADER_BYTES // 6 + 100), 431),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "status"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_refusal_comes_behind_the_answers_that_are_owed(bad, status, before):
    sent = [b"%d" % number + LIKE_A_HEAD for number in range(before)]
    stream = b"".join(request(number, body, OFFER) for number, body in enumerate(sent))

    async def ask():
        connection = Connection()
        await connection.receive(stream + bad[:100], bad[100:], request(9, b"behind it"), turns=1)
        await connection.settle()
        assert connection.wire.closed
        connection.end()
        return connection.answers()

    found = asyncio.run(ask())
    assert_echoed(found[:-1], sent)
    assert (found[-1][0], list(found[-1][1])) == (status, ["error"])


def test_late_headers_are_refused_behind_the_answers_that_are_owed():
    async def ask():
        asked = asyncio.Event()

        async def slow(scope, receive, send):
            await asked.wait()
            await echo(scope, receive, send)

        connection = Connection(slow, seconds=0.02)
        await connection.receive(request(0, b"a"), b"POST /late HTTP/1.1\r\n")
        await asyncio.sleep(0.1)
        assert not connection.wire.sent
        asked.set()
        await asyncio.sleep(0.1)
        connection.end()
        return connection.answers(), connection.wire.closed

    (first, late), closed = asyncio.run(ask())
    assert (first[0], late[0], closed) == (200, 408, True)


def test_a_bad_body_behind_an_answer_that_has_begun_ends_the_connection():
    async def ask():
        async def hasty(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            while (await receive()).get("more_body"):
                pass

        connection = Connection(hasty)
        await connection.receive(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        while not connection.wire.sent.endswith(b"begun\r\n"):
            await asyncio.sleep(0)
        await connection.receive(b"xyz\r\n")
        connection.end()
        await connection.settle()
        return bytes(connection.wire.sent), connection.wire.closed

    sent, closed = asyncio.run(ask())
    assert closed
    assert sent.count(b"HTTP/1.1") == 1
