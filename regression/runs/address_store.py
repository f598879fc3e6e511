"""The store in which the processes of a run on one machine find each other's addresses."""

import os
import socket
import sys
from datetime import timedelta
from typing import Any

import torch.distributed as dist

__all__ = ["open_store_on_loopback", "renew_store"]

LOOPBACK = "127.0.0.1"


def open_store_on_loopback(processes: int) -> Any:
    """Open a store on loopback only, and name it in the environment; torch would listen on all interfaces.

    Args:
        processes: Number of processes that will connect.

    Returns:
        The store, which ends when the last reference to it does.
    """
    with socket.create_server((LOOPBACK, 0), backlog=processes) as server:
        port, descriptor = server.getsockname()[1], server.detach()
    options: dict[str, Any] = {"is_master": True, "wait_for_workers": False, "master_listen_fd": descriptor}
    store = dist.TCPStore(LOOPBACK, port, **options)  # type: ignore[attr-defined]  # exported by a star
    _name_in_environment(port)
    return store


def renew_store(seconds: float) -> Any:
    """In a process that torchrun has started again, replace torchrun's store by one of this start.

    torchrun keeps one store over all starts, and in it the addresses of processes that have ended: a process that reads
    such an address before its owner has written the new one waits there in vain. With several nodes the store stays,
    because each node counts its starts by itself.

    Args:
        seconds: Longest time to wait for the first process.

    Returns:
        The store in the first process, where it must be kept to the end; ``None`` in the others, and at a first start.
    """
    if not _is_started_again():
        return None
    start, host, port = (os.environ[name] for name in ("TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT"))
    options: dict[str, Any] = {"is_master": False, "timeout": timedelta(seconds=seconds)}
    known = dist.TCPStore(host, int(port), **options)  # type: ignore[attr-defined]  # exported by a star
    if os.environ["RANK"] != "0":
        _name_in_environment(int(known.get(f"regression/start/{start}")))
        return None
    store = open_store_on_loopback(int(os.environ["WORLD_SIZE"]))
    known.set(f"regression/start/{start}", os.environ["MASTER_PORT"])
    return store


def _is_started_again() -> bool:
    told = [os.environ.get(name) for name in ("TORCHELASTIC_USE_AGENT_STORE", "GROUP_WORLD_SIZE")]
    return told == ["True", "1"] and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def _name_in_environment(port: int) -> None:
    """Name a store on loopback in the environment; torch then takes it for that of torchrun's agent, and opens none."""
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    if sys.platform == "linux":
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
