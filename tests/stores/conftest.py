"""A bucket in an S3 server on this machine, to which the usual environment variables point."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.s3_server import Store, running

NUMBERS = count()
SECRET = "a-secret-that-stays-in-the-environment"


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with running() as port:
        yield port


@pytest.fixture
def store(server: int, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket of the test's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    store = Store(server, f"bucket-{server}-{next(NUMBERS)}")
    store.create()
    store.plan("")
    store.asked()
    return store
