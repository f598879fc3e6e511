"""Addresses of objects in stores, such as ``s3://bucket/folder/a.parquet``; none that holds a password is taken."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from regression.common.errors import DataError
from regression.common.text import printable, without_secret

__all__ = ["WEB", "Address", "as_local", "is_address"]

WEB = ("http", "https")
SIGNED = re.compile(r"sig|token|secret|key|pass|pwd|auth|cred|session|jwt|x-amz|x-goog", re.IGNORECASE)
NO_PLACE = ("hdfs", "file")  # the server is that of the settings, or this machine
USERS = ("abfs", "abfss", "hdfs", "gs", "gcs")  # a user, or container, without a password is part of these addresses
MEANS = {  # by which a store's own tools take credentials
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "abfs": "set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or run az login",
    "hdfs": "run kinit",
    "http": "download the file, or pipe it in: curl ADDRESS | python train.py fit -",
}
MEANS |= {"gcs": MEANS["gs"], "abfss": MEANS["abfs"], "https": MEANS["http"]}


class Address(NamedTuple):
    """The parts of an address, which show themselves as it was given.

    Attributes:
        scheme: The kind of store, such as ``s3``.
        place: A bucket, or a server with its port, with the container or user before an ``@``.
        key: The path below it, without a slash in front.
        query: Options of the store, such as ``region=eu-west-1``; of a web server what it is asked for.
    """

    scheme: str
    place: str
    key: str = ""
    query: str = ""

    def __str__(self) -> str:
        key, query = self.key and f"/{self.key}", self.query and f"?{self.query}"
        return f"{self.scheme}://{self.place}{key}{query}"

    @property
    def means(self) -> str:
        """How to give credentials, in words."""
        return MEANS.get(self.scheme, "give them as the store's own tools take them")

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the parts of an address.

        Raises:
            DataError: If it is none, or holds a password, a key or a signature, which would come to stand in
                ``config.yaml`` and in checkpoints; it is not shown.
        """
        scheme, _, rest = text.partition("://")
        ends = r"[/?]" if scheme in WEB else r"/|\?(?=[\w-]+=)"
        place = re.split(ends, rest, maxsplit=1)[0]
        key, query = rest[len(place) :].removeprefix("/"), ""
        if at := re.search(r"\?" if scheme in WEB else r"\?(?=[\w-]+=[^/?]*$)", key):
            key, query = key[: at.start()], key[at.end() :]
        address = cls(scheme, place, key, query)
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or not place.isprintable():
            raise DataError(
                "path must be a file, a folder, a pattern, or an address such as s3://bucket/folder/a.parquet, got "
                f"{printable(without_secret(text))}"
            )
        if address._holds_secret():
            raise DataError(
                f"path {scheme}://… holds a password, a key or a signature, which would come to stand in config.yaml: "
                f"leave it out; {address.means}"
            )
        if not place and scheme not in NO_PLACE:
            raise DataError(f"path {text} names no bucket or server: expected one as in {scheme}://NAME/a.csv")
        return address

    def _holds_secret(self) -> bool:
        user, at, server = self.place.rpartition("@")
        is_port = re.fullmatch(r"[^:]*(:\d*)?|\[[0-9a-fA-F:]*\](:\d*)?", server)  # else a key with a slash in it
        if ":" in user or not is_port or (at and self.scheme not in USERS):
            return True
        names = (part.partition("=")[0] for part in self.query.split("&"))
        return any(map(SIGNED.search, names))


def is_address(path: str) -> bool:
    """Tell an address from a path on this machine."""
    return "://" in path


def as_local(path: str) -> str:
    """Return the path on this machine that an address ``file://`` means, or the path or address as it is."""
    if not path.startswith("file://"):
        return path
    server, slash, rest = path.removeprefix("file://").partition("/")
    if server not in ("", "localhost") or not rest:
        raise DataError(f"path {path} is on another machine: expected three slashes, as in file:///data/a.csv")
    return str(Path(unquote(slash + rest)))
