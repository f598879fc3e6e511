"""The errors of stores as messages of one line, and how long a store is waited for."""

import re
from typing import Any

from regression.common.errors import DataError

__all__ = ["ATTEMPTS", "NO_PARTS", "SECONDS_TO_ANSWER", "SECONDS_TO_CONNECT", "cause_of", "fault", "is_of_store"]

ATTEMPTS = 3  # of a request that fails because of the network, or because the store is busy
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5.0, 10.0  # at most, for each attempt
NO_PARTS = "it gives no parts of files: download the file first"
OF_STORE = re.compile(rf"AWS Error|curl|google::cloud|Azure|HDFS|Hdfs|libjvm|libhdfs|{NO_PARTS}")
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
    """Tell whether an error is one of the store, and not of the content of an object."""
    if isinstance(error, FileNotFoundError | PermissionError | ConnectionError | TimeoutError):
        return True
    return type(error).__module__.startswith("aiohttp") or bool(OF_STORE.search(str(error)))


def cause_of(error: BaseException) -> BaseException:
    """Return the cause of an error: of a server that does not answer, fsspec raises that the file is missing."""
    return error.__cause__ or error


def fault(address: Any, error: BaseException) -> DataError:
    """Return the error of one line for an exception of a store's library.

    Args:
        address: The address of the request.
        error: The exception.
    """
    error = cause_of(error)
    text = " ".join(str(error).split())
    # The libraries of Amazon and of Google put the reason behind these words.
    reason = re.split(r"Details: |last message of ", text)[-1].split(" error_info")[0]
    reason = re.sub(r"\s*\(Request ID: .*?\)", "", reason).split(". ")[0].rstrip(".")[:200]
    if "libjvm" in text or "libhdfs" in text:
        return DataError(f"{address}: HDFS needs Java and Hadoop's libraries: set JAVA_HOME, HADOOP_HOME and CLASSPATH")
    if isinstance(error, FileNotFoundError) or MISSING.search(text):
        return DataError(f"{address}: there is no such object or bucket; expected a file, a folder or a pattern")
    if isinstance(error, PermissionError) or FORBIDDEN.search(text):
        return DataError(f"{address}: no permission, or no valid credentials: {address.credentials}")
    if isinstance(error, ConnectionError | TimeoutError) or UNREACHABLE.search(text):
        return DataError(f"{address}: the store does not answer ({reason}): check the network, and run again")
    return DataError(f"{address}: the store failed: {reason or type(error).__name__}")
