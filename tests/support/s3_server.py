"""An S3 server on this machine, moto's, that records its requests, and fails at chosen ones.

``python -m tests.support.s3_server`` prints its port and serves until it is ended.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
CONTROL = "/_control"


class Request(NamedTuple):
    """A request to the server, and the number of bytes of the answer."""

    method: str
    path: str
    status: int
    size: int


class Store(NamedTuple):
    """A bucket of a server, which tests write and read without the code under test."""

    port: int
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def _send(self, method: str, path: str, body: bytes = b"") -> Any:
        kind = {"Content-Type": "application/octet-stream", "Authorization": "AWS tester:"}  # no form, and a user
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body or None, kind, method=method)
        return urllib.request.urlopen(request, timeout=20).read()

    def create(self) -> None:
        self._send("PUT", f"/{self.bucket}")

    def put(self, key: str, content: bytes | Path) -> None:
        self._send("PUT", f"/{self.bucket}/{key}", content.read_bytes() if isinstance(content, Path) else content)

    def put_folder(self, folder: Path) -> None:
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(file.relative_to(folder).as_posix(), file)

    def get(self, key: str) -> bytes:
        return bytes(self._send("GET", f"/{self.bucket}/{key}"))

    def asked(self) -> list[Request]:
        """Return the requests since the last call."""
        return [Request(*each) for each in json.loads(self._send("POST", CONTROL, b'{"do": "tell"}'))]

    def plan(self, do: str, after: int = 0, times: int = 1 << 30) -> None:
        """Make requests for parts of objects fail: ``busy`` (503), ``cut`` (half a body), ``swap`` (other content)."""
        self._send("POST", CONTROL, json.dumps({"do": do, "after": after, "times": times}).encode())


@contextmanager
def running() -> Iterator[int]:
    """Start a server in a process of its own, and yield its port."""
    command = [sys.executable, "-m", "tests.support.s3_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.terminate()


class Counted:
    """The server's application, with a list of its requests."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.told: list[Request] = []
        self.planned: dict[str, Any] = {"do": "", "after": 0, "times": 0}

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == CONTROL:
            return self._control(environ, start)
        heads: list[Any] = []
        chunks = list(self.application(environ, lambda *head: heads.append(head)))
        (status, headers, *rest), body = heads[0], b"".join(chunks)
        if "HTTP_RANGE" in environ and self._is_due():
            if self.planned["do"] == "busy":
                status, headers, body = "503 Slow Down", [("Content-Length", "0")], b""
            body = body[: len(body) // 2] if self.planned["do"] == "cut" else body
        self.told.append(Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], int(status[:3]), len(body)))
        start(status, headers, *rest)
        return [body]

    def _is_due(self) -> bool:
        self.planned["after"] -= 1
        if self.planned["after"] >= 0 or not self.planned["times"]:
            return False
        self.planned["times"] -= 1
        return True

    def _control(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        order = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        if order["do"] != "tell":
            self.planned = order
        body = json.dumps(self.told).encode()
        self.told.clear()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]


def main() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Counted(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
