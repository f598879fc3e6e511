"""Addresses of objects in stores, such as ``s3://bucket/folder/a.parquet``; those that hold a password are refused."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from regression.common.errors import DataError
from regression.common.text import printable, without_secret

__all__ = ["WEB", "Address", "as_local", "has_wildcard", "is_address"]

WEB = ("http", "https")
WILDCARDS = "*?["
SECRET = re.compile(r"sig|token|secret|key|pass|pwd|auth|cred|session|jwt|x-amz|x-goog", re.IGNORECASE)
NO_HOST_NEEDED = ("hdfs", "file")  # the server is that of Hadoop's settings, or this machine
WITH_USER = ("abfs", "abfss", "hdfs", "gs", "gcs")  # may contain a user or container, without a password
CREDENTIALS = {  # how the store's own tools take them
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "abfs": "set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or run az login",
    "hdfs": "run kinit",
    "http": "download the file, or pipe it in: curl ADDRESS | python train.py fit -",
}
CREDENTIALS |= {"gcs": CREDENTIALS["gs"], "abfss": CREDENTIALS["abfs"], "https": CREDENTIALS["http"]}


class Address(NamedTuple):
    """The parts of an address; ``str`` returns the address.

    Attributes:
        scheme: The kind of store, such as ``s3``.
        host: A bucket, or a server with its port, after a container or user and ``@`` if there is one.
        key: The path below it, without a slash in front.
        query: Options of the store, such as ``region=eu-west-1``, or the query of a web address.
    """

    scheme: str
    host: str
    key: str = ""
    query: str = ""

    def __str__(self) -> str:
        key, query = self.key and f"/{self.key}", self.query and f"?{self.query}"
        return f"{self.scheme}://{self.host}{key}{query}"

    @property
    def credentials(self) -> str:
        """Advice on how to give credentials."""
        return CREDENTIALS.get(self.scheme, "give them as the store's own tools take them")

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the parts of an address.

        Raises:
            DataError: If the text is no address, or holds a password, a key or a signature, which would be saved in
                ``config.yaml`` and in checkpoints; the message does not show it.
        """
        scheme, _, rest = text.partition("://")
        ends = r"[/?]" if scheme in WEB else r"/|\?(?=[\w-]+=)"
        host = re.split(ends, rest, maxsplit=1)[0]
        key, query = rest[len(host) :].removeprefix("/"), ""
        if at := re.search(r"\?" if scheme in WEB else r"\?(?=[\w-]+=[^/?]*$)", key):
            key, query = key[: at.start()], key[at.end() :]
        address = cls(scheme, host, key, query)
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or not host.isprintable():
            raise DataError(
                "path must be a file, a folder, a pattern, or an address such as s3://bucket/folder/a.parquet, got "
                f"{printable(without_secret(text))}"
            )
        if address._holds_secret():
            raise DataError(
                f"path {scheme}://… holds a password, a key or a signature, which would come to stand in config.yaml: "
                f"leave it out; {address.credentials}"
            )
        if not host and scheme not in NO_HOST_NEEDED:
            raise DataError(f"path {text} names no bucket or server: expected one as in {scheme}://NAME/a.csv")
        return address

    def _holds_secret(self) -> bool:
        user, at, server = self.host.rpartition("@")
        # Of user:key@host, a key that contains a slash ends the host after user:key, which is then no port.
        is_port = re.fullmatch(r"[^:]*(:\d*)?|\[[0-9a-fA-F:]*\](:\d*)?", server)
        if ":" in user or not is_port or (at and self.scheme not in WITH_USER):
            return True
        names = (part.partition("=")[0] for part in self.query.split("&"))
        return any(map(SECRET.search, names))


def is_address(path: str) -> bool:
    """Tell whether a path is an address, and not a path on this machine."""
    return "://" in path


def has_wildcard(path: str) -> bool:
    """Tell whether a path, or a part of one, contains a wildcard of patterns."""
    return any(sign in path for sign in WILDCARDS)


def as_local(path: str) -> str:
    """Return the path on this machine that an address ``file://`` names; return other paths and addresses unchanged."""
    if not path.startswith("file://"):
        return path
    server, slash, rest = path.removeprefix("file://").partition("/")
    if server not in ("", "localhost") or not rest:
        raise DataError(f"path {path} is on another machine: expected three slashes, as in file:///data/a.csv")
    return str(Path(unquote(slash + rest)))
