"""In one line what a store says that has failed, and what to do."""

import re
from typing import Any

from regression.common.errors import DataError

__all__ = ["fault", "is_of_store"]

OF_STORE = re.compile(r"AWS Error|curl|google::cloud|Azure|HDFS|Hdfs|libjvm|libhdfs|it gives no parts")
MISSING = re.compile(r"NO_SUCH|not ?found|RESOURCE_NOT_FOUND|does not exist|status 404|\b404\b", re.IGNORECASE)
FORBIDDEN = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|CREDENTIAL|EXPIRED|UNAUTH|FORBIDDEN|OAuth|permission|\b40[13]\b",
    re.IGNORECASE,
)
UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|curl|could ?n.t connect|cannot connect|resolve|timed? ?out|UNAVAILABLE|name or service",
    re.IGNORECASE,
)


def is_of_store(error: BaseException) -> bool:
    """Tell whether the store has failed, and not what an object holds."""
    if isinstance(error, FileNotFoundError | PermissionError | ConnectionError | TimeoutError):
        return True
    return type(error).__module__.startswith("aiohttp") or bool(OF_STORE.search(str(error)))


def fault(address: Any, error: BaseException) -> DataError:
    """Return an error that says in one line what a store has refused, or that it does not answer.

    Args:
        address: What was asked for.
        error: What a library has raised.
    """
    error = error.__cause__ or error  # fsspec says of a server that is away that the file is not there
    text = " ".join(str(error).split())
    reason = re.split(r"Details: |last message of ", text)[-1].split(" error_info")[0]  # of Amazon's library, Google's
    reason = re.sub(r"\s*\(Request ID: .*?\)", "", reason).split(". ")[0].rstrip(".")[:200]
    if "libjvm" in text or "libhdfs" in text:
        return DataError(f"{address}: HDFS needs Java and Hadoop's libraries: set JAVA_HOME, HADOOP_HOME and CLASSPATH")
    if isinstance(error, FileNotFoundError) or MISSING.search(text):
        return DataError(f"{address}: there is no such object or bucket; expected a file, a folder or a pattern")
    if isinstance(error, PermissionError) or FORBIDDEN.search(text):
        return DataError(f"{address}: no permission, or no valid credentials: {address.means}")
    if isinstance(error, ConnectionError | TimeoutError) or UNREACHABLE.search(text):
        return DataError(f"{address}: the store does not answer ({reason}): look after the network, and run again")
    return DataError(f"{address}: the store failed: {reason or type(error).__name__}")
