"""A Ray cluster to work on: the machine's own cores, or one that is there already."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray

from manifests.errors import UserError

_OBJECT_STORE_BYTES = 80 << 20
"""Near Ray's least: nothing but small answers goes through it."""

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Cluster:
    """How many workers it has room for, and what each of them takes."""

    workers: int
    resources: dict[str, float]

    def share(self, value: object) -> ray.ObjectRef:
        """Put something where every worker can get it, once a machine."""
        return ray.put(value)

    def alive_nodes(self) -> set[str]:
        return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


@contextlib.contextmanager
def connect(address: str | None, workers: int | None, device: str) -> Iterator[Cluster]:
    """Join the cluster at `address`, or start one on this machine for the time of the block.

    A program that is connected to Ray already stays so. Raises UserError if there is no such cluster, or no
    GPU in it for a `device` that is one.
    """
    ours = not ray.is_initialized()
    if ours:
        with _signals_kept():
            _start(workers, device) if address is None else _join(address)
        _hush()
    try:
        yield _measure(workers, device)
    finally:
        if ours:
            ray.shutdown()


def _start(workers: int | None, device: str) -> None:
    # A token of our own for Ray's authentication, or Ray would leave one in the home folder, for good.
    if os.environ.get("RAY_AUTH_MODE") is None and os.environ.get("RAY_AUTH_TOKEN_PATH") is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    resources: dict[str, Any] = {"num_cpus": workers} if device == "cpu" and workers else {}
    if device == "metal":
        resources["num_gpus"] = 1  # Ray does not look for Apple's
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        **resources,
        **_QUIET,
    )


def _join(address: str) -> None:
    try:
        _knock(address)
        try:
            ray.init(address=address, **_QUIET)
        except ConnectionError:
            if not _use_token():
                raise
            ray.init(address=address, **_QUIET)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--address {address}: cannot join a Ray cluster there ({type(error).__name__}: {reason}); "
            "start one with `ray start --head`, or leave --address out to use this machine"
        ) from None


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at host:port: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _use_token() -> bool:
    """Show the user's Ray token from now on; False if there is none or it is shown already.

    `ray start` protects a cluster as soon as the user has a token (Ray 2.59 on), yet `ray.init` with an
    address does not look for it. To show it to a cluster without protection would be wrong too: the driver
    would then turn that cluster away, and its actors would die before they start.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return False
    try:
        from ray._private.authentication.authentication_token_setup import (
            maybe_enable_token_auth_if_token_available,
        )
    except ImportError:  # another version of Ray
        return False
    return bool(maybe_enable_token_auth_if_token_available(warn_if_disabled=False))


def _measure(workers: int | None, device: str) -> Cluster:
    kind = "CPU" if device == "cpu" else "GPU"
    room = int(ray.cluster_resources().get(kind, 0))
    if kind == "GPU" and room == 0:
        raise UserError(
            f"render.device: {device} needs a GPU and there is none here; "
            "set render.device to cpu, or --address to a cluster with GPUs"
        )
    resources: dict[str, float] = {"num_cpus": 1} if kind == "CPU" else {"num_cpus": 0, "num_gpus": 1}
    return Cluster(workers or max(1, room), resources)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it connects."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _hush() -> None:
    """Stop Ray from printing an essay whenever a worker dies; `log_to_driver` does not cover it."""
    import ray._private.worker as internals

    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = lambda *_, **__: None
