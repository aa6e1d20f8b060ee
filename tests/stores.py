"""A store that speaks S3's protocol on loopback, moto's, which can be told to fail."""

import contextlib
import logging
import os
import socket
import threading
import urllib.parse
import urllib.request
from unittest import mock

import pytest

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
UNSET = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL_S3",
    "AWS_SESSION_TOKEN",
    "AWS_CA_BUNDLE",
)


class Store:
    """A server and its bucket of the moment.

    Attributes:
        url: of the server.
        bucket: the bucket's name; paths are below it.
        faults: (method, path) to a status, "drop" (the connection ends) or a function of the request's
            environment that gives one or None; a path that ends in "*" stands for all that begin so.
        requests: (method, path) of each request since `forget`.
    """

    def __init__(self, app):
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = app
        self.faults, self.requests, self.bucket = {}, [], ""
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def environment(self, **variables):
        """The variables that lead a process here."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.url} | variables

    def _answer(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        fault = self._fault(method, path)
        if callable(fault):
            fault = fault(environ)
        if fault == "drop":
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        if fault is not None:
            start_response(f"{fault} Fault", [("Content-Length", "0")])
            return []
        return self._app(environ, start_response)

    def _fault(self, method, path):
        for (which, where), fault in self.faults.items():
            below = where[-1] == "*" and path.startswith(where[:-1])
            if which in (method, "*") and (path == where or below):
                return fault
        return None

    def ask(self, method, path, content=None):
        """The answer to a request, whose signature nobody checks."""
        url = f"{self.url}/{self.bucket}/{urllib.parse.quote(path)}".rstrip("/")
        headers = {"Content-Type": "application/octet-stream", "Authorization": f"AWS {KEY}:x"}
        request = urllib.request.Request(url, data=content, headers=headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def address(self, path=""):
        return f"s3://{self.bucket}/{path}".rstrip("/")

    def fail(self, path, fault, method="*"):
        """Has requests for a path end in a fault from now on."""
        self.faults[method, f"/{self.bucket}/{path}"] = fault

    def put(self, path, content):
        """Stores an object past the protocol, which takes most of the time."""
        self._backend().put_object(
            self.bucket, path, content if isinstance(content, bytes) else content.encode()
        )

    def get(self, path):
        return self._backend().get_object(self.bucket, path).value

    def _backend(self):
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def put_tree(self, folder, path):
        """Puts all files below a local folder there."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def close(self):
        self._server.shutdown()


@contextlib.contextmanager
def running():
    """One server for all tests of a session."""
    pytest.importorskip("moto")
    with mock.patch.dict(os.environ, CREDENTIALS):
        from moto.server import DomainDispatcherApplication, create_backend_app

        store = Store(DomainDispatcherApplication(create_backend_app))
        yield store
        store.close()


_numbers = iter(range(1, 10_000))


@contextlib.contextmanager
def bucket(store):
    """A new bucket, and the environment that leads to it."""
    store.bucket = f"bucket-{next(_numbers)}"
    store.faults.clear()
    store.ask("PUT", "")
    store.requests.clear()
    kept = {key: value for key, value in os.environ.items() if key not in UNSET}
    with mock.patch.dict(os.environ, kept | store.environment(), clear=True):
        yield
    store.faults.clear()
