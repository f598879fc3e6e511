"""The file system of a store: pyarrow's own if it has one, otherwise fsspec's."""

import os
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote

from regression.common.errors import DataError
from regression.stores.address import Address, as_local
from regression.stores.faults import ATTEMPTS, SECONDS_TO_ANSWER, SECONDS_TO_CONNECT, fault

__all__ = ["connect"]

BY_PYARROW = ("gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")  # schemes of file systems that pyarrow has, beside S3
S3_OPTIONS = ("region", "scheme", "endpoint_override")  # that an address may have
RETRY_LIMIT = timedelta(seconds=15)  # of a request to Google's store


def connect(address: Address) -> tuple[Any, str]:
    """Return the file system of a store, by pyarrow's interface, and the path of an object in it.

    Credentials are those that the store's own tools find; this package does not read them.

    Raises:
        DataError: If there is no such kind of store, or it cannot be reached.
    """
    try:
        if address.scheme == "s3":
            return _s3(address.host, address.query), f"{address.host}/{address.key}".rstrip("/")
        if address.scheme == "file":
            from pyarrow import fs

            return fs.LocalFileSystem(), as_local(str(address))
        if address.scheme in BY_PYARROW:
            system, root = _by_pyarrow(address.scheme, address.host, address.query)
            return system, f"{root.rstrip('/')}/{address.key}".rstrip("/")
        from regression.stores.by_fsspec import connect_by_fsspec  # imports pyarrow

        return connect_by_fsspec(address)
    except DataError:
        raise
    except ImportError as error:
        needed = " ".join(str(error).split())
        raise DataError(f"{address}: this kind of store needs a library that is not here: {needed}") from None
    except Exception as error:  # libraries raise exceptions of many types
        raise fault(address, error) from error


@cache
def _s3(bucket: str, query: str) -> Any:
    """Return the file system of S3 or of a server with S3's protocol, by the options of the address and environment."""
    from pyarrow import fs  # a third of a second to import, and not every run needs it

    given = dict(option.partition("=")[::2] for option in query.split("&") if option)
    if unknown := given.keys() - set(S3_OPTIONS):
        raise DataError(f"s3://{bucket}: expected options {', '.join(S3_OPTIONS)}, got {', '.join(sorted(unknown))}")
    # pyarrow does not read all of these variables, which other tools for S3 do.
    endpoint = given.get("endpoint_override") or _variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = given.get("region") or _variable("AWS_REGION", "AWS_DEFAULT_REGION")
    if not region:
        region = "us-east-1" if endpoint else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        endpoint_override=endpoint and unquote(endpoint),
        scheme=given.get("scheme"),
        region=region,
        connect_timeout=SECONDS_TO_CONNECT,
        request_timeout=SECONDS_TO_ANSWER,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def _variable(*names: str) -> str | None:
    return next(filter(None, map(os.environ.get, names)), None)


@cache
def _by_pyarrow(scheme: str, host: str, query: str) -> tuple[Any, str]:
    from pyarrow import fs

    if scheme in ("gs", "gcs"):
        query = "&".join(filter(None, (query, f"retry_limit_seconds={RETRY_LIMIT.total_seconds():g}")))
    return fs.FileSystem.from_uri(f"{scheme}://{host}/{'?' if query else ''}{query}")  # type: ignore[no-any-return]
