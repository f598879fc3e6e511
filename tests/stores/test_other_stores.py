"""Addresses, web servers, messages for errors of stores, and that no library is imported without an address."""

import ast
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from regression import UsageError
from regression.data.files import find_files
from regression.data.table import Table
from regression.stores.address import Address
from regression.stores.faults import fault
from regression.stores.stored_file import StoredFile
from regression.stores.writing import put, require_new
from tests.support.command import ROOT, Command
from tests.support.s3_server import Store

TEXT = b"x,y\n1,2\n2,4.5\n3,5\n"


class Web(BaseHTTPRequestHandler):
    """Serves one text, in parts unless the path begins with ``/whole``, after a number of failures."""

    failures = 0
    content = TEXT

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/missing"):
            return self.answer(404, b"")
        if "Range" in self.headers and Web.failures:
            Web.failures -= 1
            return self.answer(503, b"")
        if "Range" not in self.headers or self.path.startswith("/whole"):
            return self.answer(200, Web.content)
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        return self.answer(206, Web.content[first : last + 1])

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(Web.content)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """The address of a web server on this machine."""
    Web.failures, Web.content = 0, TEXT
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_of_a_web_server(web: str) -> None:
    """A file of a web server is read in parts, also after temporary failures."""
    Web.failures = 2
    assert Table(f"{web}/points.csv?id=3", ["x", "y"]).read(0, 3).tolist() == [[1, 2, 3], [2, 4.5, 5]]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing.csv", "there is no such object or bucket; expected a file, a folder or a pattern"),
        ("whole.csv", "the store failed: it gives no parts of files: download the file first"),
    ],
)
def test_a_web_server_that_does_not_serve(web: str, path: str, words: str) -> None:
    """A missing file, and a server that sends only whole files, are refused in one line."""
    with pytest.raises(UsageError, match=f"^{web}/{path}: {words}$"):
        Table(f"{web}/{path}", ["x", "y"])


def test_a_changed_file_of_a_web_server(web: str) -> None:
    """A file that a web server has replaced is recognised by its ETag."""
    file = StoredFile(Address.parse(f"{web}/a.csv"))
    before = file.facts()
    assert file.facts() == before
    Web.content = TEXT.replace(b"5", b"6")
    assert file.facts() != before


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://bucket/a?.csv", ("s3", "bucket", "a?.csv", "")),
        ("s3://bucket/a.csv?region=eu-west-1", ("s3", "bucket", "a.csv", "region=eu-west-1")),
        ("s3://bucket", ("s3", "bucket", "", "")),
        ("gs://anonymous@bucket/g=1/a b.csv", ("gs", "anonymous@bucket", "g=1/a b.csv", "")),
        ("abfs://box@me.dfs.core.windows.net/a.csv", ("abfs", "box@me.dfs.core.windows.net", "a.csv", "")),
        ("hdfs://me@server:9000/a.csv", ("hdfs", "me@server:9000", "a.csv", "")),
        ("https://[::1]:80/a.csv?id=1&format=csv", ("https", "[::1]:80", "a.csv", "id=1&format=csv")),
    ],
)
def test_parts_of_an_address(address: str, parts: tuple[str, ...]) -> None:
    """An address is divided into its parts, and ``str`` returns it unchanged."""
    assert Address.parse(address) == parts
    assert str(Address.parse(address)) == address


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3:///a.csv", "path s3:///a.csv names no bucket or server: expected one as in s3://NAME/a.csv"),
        (
            "S3://bucket/a.csv",
            "path must be a file, a folder, a pattern, or an address such as s3://bucket/folder.*, got S3://bucket/a.csv",
        ),
        ("s3://bucket/a.csv?colour=red", "s3://bucket: expected options region, scheme, endpoint_override, got colour"),
        ("s4://bucket/a.csv", "s4://bucket/a.csv: the store failed: Protocol not known: s4"),
        ("sftp://server/a.csv", "sftp://server/a.csv: this kind of store needs a library that is not here: .*paramiko"),
        ("file://server/a.csv", "path file://server/a.csv is on another machine: expected three slashes"),
    ],
)
def test_unknown_addresses_are_refused(address: str, words: str) -> None:
    """An address of an unknown store, or without a place in it, is refused in one line."""
    with pytest.raises(UsageError, match=words):
        find_files(address)


def test_the_command_takes_an_address_of_this_machine(command: Command, tmp_path: Path) -> None:
    """Every command reads ``file://``, also as a pattern and as points to validate on, and copies predictions there."""
    here = f"file://{tmp_path}"
    (tmp_path / "d.csv").write_text("x,y\n1,2\n2,4.1\n3,5.9\n4,8.2\n")
    long = ("--data", "TableDataModule", "--model", "LineRegression", "--model.solver", "exact")
    done = command("fit", *long, "--data.path", f"{here}/d*.csv", "--data.validation_path", f"{here}/d.csv")
    local, short = (command("fit", path, "--x", "x", "--y", "y") for path in ("d.csv", f"{here}/d.csv"))
    assert done.fit["params"] == local.fit["params"] == short.fit["params"]
    assert "4 rows of d.csv" in short.out
    assert "4 points: test_loss" in command("test", "--ckpt_path", short.checkpoint).out
    new = ("predict", f"{here}/d.csv", "--ckpt_path", short.checkpoint)
    predicted = command(*new, "--predictions.file", f"{here}/new.csv")
    assert (predicted.code, predicted.err, predicted.folder is None) == (0, "", False)
    assert (tmp_path / "new.csv").read_bytes() == (predicted.folder / "new.csv").read_bytes()  # type: ignore[operator]
    assert "4 x of 4 y" in command(*new, "--inverse").out
    for file, words in (
        (f"{here}/new.csv", "is there, and nothing is written over"),
        (f"{here}/no/a.csv", "no folder"),
    ):
        refused = command(*new, "--predictions.file", file)
        assert (refused.code, words in refused.err) == (2, True), refused.err


def test_an_address_of_this_machine(tmp_path: Path) -> None:
    """An address ``file://`` names a path of this machine, with or without percent-encoding."""
    (tmp_path / "a b.csv").write_bytes(TEXT)
    for address in (f"file://{tmp_path}/a b.csv", f"file://localhost{tmp_path}/a%20b.csv", f"file://{tmp_path}/*.csv"):
        assert find_files(address) == [tmp_path / "a b.csv"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "no permission, or no valid cred"),
        ("AWS Error INVALID_ACCESS_KEY_ID during GetObject operation", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 (Request ID: 7)", "there is no such object"),
        (
            "AWS Error NETWORK_CONNECTION; Details: Could not resolve host: a",
            r"answer \(Could not resolve",
        ),
        ("Unable to load libjvm dlopen failed", "HDFS needs Java and Hadoop's libraries: set JAVA_HOME"),
        ("google::cloud::Status(UNAVAILABLE: gone, with a last message of CURL error [6]=Lost error_info={})", "=Lost"),
        ("AWS Error UNKNOWN (HTTP status 503) during GetObject operation: Slow", "the store failed: AWS Error UNKNOWN"),
    ],
)
def test_messages_for_errors_of_stores(error: str, words: str) -> None:
    """An error of a store becomes one line, without request numbers."""
    line = str(fault(Address.parse("s3://bucket/a.csv"), OSError(error)))
    assert line.startswith("s3://bucket/a.csv: ")
    assert re.search(words, line)
    assert "Request ID" not in line


def test_nothing_is_written_over(store: Store, tmp_path: Path) -> None:
    """An existing object, a missing bucket, and a web server are refused before anything is computed."""
    store.put("a.csv", TEXT)
    for address, words in (
        (f"{store.url}/a.csv", "is there, and nothing is written over"),
        ("s3://no-such-bucket/b.csv", "there is no such object or bucket"),
        ("https://example.org/b.csv", "a web server takes no files: expected an address such as s3://bucket/b.csv"),
    ):
        with pytest.raises(UsageError, match=words):
            require_new(Address.parse(address))
    (tmp_path / "b.csv").write_bytes(TEXT * 1000)
    require_new(Address.parse(f"{store.url}/b.csv"))
    put(tmp_path / "b.csv", Address.parse(f"{store.url}/b.csv"))
    assert store.get("b.csv") == TEXT * 1000


def test_no_store_is_imported_for_a_file() -> None:
    """The libraries for stores, which take time to import, are imported in functions alone, for an address."""
    late = {"fsspec", "aiohttp", "pyarrow.fs", "regression.stores.by_fsspec"}
    for path in (ROOT / "regression").rglob("*.py"):
        if path.name != "by_fsspec.py":
            nodes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
            pairs = {(getattr(node, "module", ""), alias.name) for node in nodes for alias in node.names}
            assert not {name for pair in pairs for name in (*pair, ".".join(pair))} & late, path
