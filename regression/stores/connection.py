"""The file system of a store: pyarrow's own where it has one, else fsspec's."""

import os
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote

from regression.common.errors import DataError
from regression.stores.address import Address, as_local
from regression.stores.faults import fault

__all__ = ["connect"]

OWN = ("gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")  # which pyarrow makes of an address
OPTIONS = ("region", "scheme", "endpoint_override")  # of an address in S3
ATTEMPTS = 3  # at a request that fails by the network, or since the store is busy
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5.0, 10.0  # at most, for each attempt
RETRY_LIMIT = timedelta(seconds=15)  # of a request to Google's store


def connect(address: Address) -> tuple[Any, str]:
    """Return the file system of a store, by pyarrow's interface, and the path of an object in it.

    Credentials are those that the store's own tools find, and are not looked at here.

    Raises:
        DataError: If there is no such kind of store, or it cannot be reached.
    """
    try:
        if address.scheme == "s3":
            return _s3(address.place, address.query), f"{address.place}/{address.key}".rstrip("/")
        if address.scheme == "file":
            from pyarrow import fs

            return fs.LocalFileSystem(), as_local(str(address))
        if address.scheme in OWN:
            system, root = _own(address.scheme, address.place, address.query)
            return system, f"{root.rstrip('/')}/{address.key}".rstrip("/")
        from regression.stores.by_fsspec import connect_by_fsspec  # imports pyarrow

        return connect_by_fsspec(address)
    except DataError:
        raise
    except ImportError as error:
        needed = " ".join(str(error).split())
        raise DataError(f"{address}: this kind of store needs a library that is not here: {needed}") from None
    except Exception as error:  # of the libraries, which raise many kinds
        raise fault(address, error) from error


@cache
def _s3(bucket: str, query: str) -> Any:
    """Return S3, or a server that speaks as S3 does, by the address or the environment."""
    from pyarrow import fs  # a third of a second to import, and not every run needs it

    given = dict(option.partition("=")[::2] for option in query.split("&") if option)
    if unknown := given.keys() - set(OPTIONS):
        raise DataError(f"s3://{bucket}: expected options {', '.join(OPTIONS)}, got {', '.join(sorted(unknown))}")
    # pyarrow does not look at all of these, which the other tools for S3 know.
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
def _own(scheme: str, place: str, query: str) -> tuple[Any, str]:
    from pyarrow import fs

    if scheme in ("gs", "gcs"):
        query = "&".join(filter(None, (query, f"retry_limit_seconds={RETRY_LIMIT.total_seconds():g}")))
    return fs.FileSystem.from_uri(f"{scheme}://{place}/{'?' if query else ''}{query}")  # type: ignore[no-any-return]
