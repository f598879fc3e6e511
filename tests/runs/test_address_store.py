"""Processes that torchrun starts again find each other in a store of that start, not in the one of the start before."""

import os
from datetime import timedelta

import pytest
import torch.distributed as dist

from regression.runs.address_store import renew_store

# torch/distributed/elastic/agent/server/local_elastic_agent.py sets these in the processes that it starts.
STARTED = {"TORCHELASTIC_USE_AGENT_STORE": "True", "GROUP_WORLD_SIZE": "1", "TORCHELASTIC_RESTART_COUNT": "1",
           "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}  # fmt: skip
SET_HERE = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def set_all(monkeypatch: pytest.MonkeyPatch, port: int, **others: str) -> None:
    for name, value in {**dict.fromkeys(SET_HERE, ""), **STARTED, "MASTER_PORT": str(port), **others}.items():
        monkeypatch.setenv(name, value)


def client(port: int) -> dist.Store:
    return dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=20))  # type: ignore[attr-defined]


def test_each_start_has_a_store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of an earlier start wrote into torchrun's store, or into that of its start, is not there."""
    options = {"is_master": True, "wait_for_workers": False}
    agents = dist.TCPStore("127.0.0.1", 0, **options)  # type: ignore[attr-defined]
    agents.set("address of process 0", "old")
    ports, stores = [agents.port], []
    for start in ("1", "2"):
        for rank in ("0", "1"):
            set_all(monkeypatch, agents.port, TORCHELASTIC_RESTART_COUNT=start, RANK=rank)
            stores.append(renew_store(20))
            ports.append(int(os.environ["MASTER_PORT"]))
            assert (os.environ["MASTER_ADDR"], stores[-1] is None) == ("127.0.0.1", rank == "1")
        assert not client(ports[-1]).check(["address of process 0"])
        client(ports[-1]).set("address of process 0", "old")
    assert (ports[1], ports[3], len(set(ports))) == (ports[2], ports[4], 3)


@pytest.mark.parametrize(
    "others",
    [
        {"TORCHELASTIC_RESTART_COUNT": "0"},
        {"GROUP_WORLD_SIZE": "2"},  # nodes
        {"TORCHELASTIC_USE_AGENT_STORE": "False"},  # torch opens a new one in the first process
    ],
)
def test_elsewhere_the_store_stays(monkeypatch: pytest.MonkeyPatch, others: dict[str, str]) -> None:
    """At a first start, on several nodes and where torchrun keeps none the environment is left as it is."""
    set_all(monkeypatch, 1, RANK="1", **others)
    before = dict(os.environ)
    assert renew_store(1) is None
    assert dict(os.environ) == before
