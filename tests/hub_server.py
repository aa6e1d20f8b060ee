"""A server on loopback that speaks as tfhub.dev and Kaggle do, well or badly."""

import contextlib
import http.server
import io
import tarfile
import threading


class Answer:
    """What a path is answered with.

    Args:
        body: the bytes of the answer.
        status: the HTTP status.
        headers: further headers; a Content-Length of None leaves it out.
        chunked: send the body in chunks, and, if cut, without the last one.
        cut: end the connection behind the body, whatever the headers promise.
    """

    def __init__(self, body=b"", status=200, headers=None, chunked=False, cut=False):
        self.body, self.status, self.chunked, self.cut = body, status, chunked, cut
        self.headers = {"Content-Length": str(len(body))} | (headers or {})


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        answers, requests = self.server.answers, self.server.requests
        requests.append((path, query, content, dict(self.headers)))
        answer = answers.get(path, Answer(status=404))
        answer = answer(query, self.headers, content) if callable(answer) else answer
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if value is not None and not (answer.chunked and name == "Content-Length"):
                self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if answer.cut or answer.headers["Content-Length"] is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if answer.chunked:
            self.wfile.write(f"{len(answer.body):x}\r\n".encode() + answer.body + b"\r\n")
            self.wfile.write(b"" if answer.cut else b"0\r\n\r\n")
        else:
            self.wfile.write(answer.body)

    do_GET = do_POST = _answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(answers):
    """Serves while the block runs.

    Args:
        answers: path to `Answer`, or to a function of (query, headers, content) that gives one; may be
            changed meanwhile.

    Yields:
        The server, with `url` and the list `requests` of (path, query, content, headers).
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.answers, server.requests = answers, []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def stand_in_for_kaggle(monkeypatch, url):
    """Has Kaggle's client, which must be installed, ask a server of ours."""
    from kagglehub import clients
    from kagglesdk import kaggle_env

    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, url)
    # It looks for its callers in the source of all frames of the stack: half a second that tells us nothing.
    monkeypatch.setattr(clients, "get_user_agent", lambda: "tests")


def packed(folder, mode="w:gz"):
    """A folder as an archive of it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        archive.add(folder, ".")
    return stream.getvalue()


def archive_of(*members, mode="w:gz"):
    """An archive of (name, content or fields of a TarInfo)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                for field, value in content.items():
                    setattr(member, field, value)
                archive.addfile(member)
    return stream.getvalue()


GRAPH = ("saved_model.pb", b"graph")

HOSTILE = {
    "empty": (b"", "no complete tar archive"),
    "not an archive": (b"<html>Sign in</html>" * 99, "no complete tar archive"),
    "truncated gzip": (archive_of(GRAPH, ("v", bytes(range(256)) * 99))[:-30], "no complete tar archive"),
    "damaged gzip": (archive_of(GRAPH)[:-8] + bytes(8), "no complete tar archive"),
    "truncated tar": (archive_of(("a", bytes(4000)), mode="w:")[:2000], "no complete tar archive"),
    "no module": (archive_of(("readme", b"hello")), r"holds no saved_model\.pb but \['readme'\]"),
    "climbs": (archive_of(GRAPH, ("../evil", b"x")), r"'\.\./evil' would be written outside"),
    "climbs later": (archive_of(GRAPH, ("assets/../../evil", b"x")), "would be written outside"),
    "absolute": (archive_of(GRAPH, ("/tmp/evil", b"x")), "would be written outside"),
    "backslash": (archive_of(GRAPH, ("..\\evil", b"x")), "would be written outside"),
    "drive": (archive_of(GRAPH, ("C:evil", b"x")), "would be written outside"),
    "symlink": (
        archive_of(GRAPH, ("assets", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("assets/evil", b"x")),
        "'assets' is neither a file nor a folder",
    ),
    "hard link": (
        archive_of(GRAPH, ("passwd", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})),
        "'passwd' is neither a file nor a folder",
    ),
    "device": (
        archive_of(GRAPH, ("zero", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})),
        "'zero' is neither a file nor a folder",
    ),
    "pipe": (archive_of(GRAPH, ("pipe", {"type": tarfile.FIFOTYPE})), "neither a file nor a folder"),
    "twice": (archive_of(GRAPH, GRAPH), "exists"),
    "file in a file": (archive_of(GRAPH, ("saved_model.pb/evil", b"x")), "directory|exists"),
    "bomb": (archive_of(GRAPH, ("variables", bytes(1 << 21))), "decompression bomb"),
    "bomb in a header": (
        archive_of(GRAPH, ("x", {"pax_headers": {"comment": "a" * (1 << 21)}})),
        "decompression bomb",
    ),
    "many members": (archive_of(*((f"f{n}", b"") for n in range(60))), "more than 50 members"),
}
"""Archives that must not do harm, and what is said of them where `archives` has the limits below."""


def set_limits(monkeypatch):
    """Small limits, so that small archives show them."""
    from tfautolabel.backbones.modules import archives

    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 50)


def files_below(folder):
    """The files below a folder, by content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
