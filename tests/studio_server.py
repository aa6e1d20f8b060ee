"""A stand-in of a Label Studio server, which answers as it is told and keeps what it was asked."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Studio(BaseHTTPRequestHandler):
    """Answers as `server.pages` says, and keeps what was asked in `server.asked`."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        status, content, headers = self.server.pages.get(self.path.partition("?")[0], (404, b"", {}))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may be gone
            for part in content if isinstance(content, list) else [content]:
                self.wfile.write(part)
                time.sleep(0.2 if isinstance(content, list) else 0)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def studio(pages):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Studio)
    server.pages, server.asked = pages, []
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(content=b"", status=200, **headers):
    return status, content, {name.replace("_", "-"): value for name, value in headers.items()}
