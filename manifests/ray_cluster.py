"""Connecting this program to a Ray cluster: one that is there already, or one of this machine's own cores."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

import ray

from manifests.errors import UserError

_OBJECT_STORE_BYTES: Final = 80 << 20
"""Near Ray's least: nothing but tasks and small answers goes through it."""

_QUIET: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": logging.ERROR}


@contextlib.contextmanager
def connected(address: str | None, **resources: Any) -> Iterator[None]:
    """Join the cluster at ``address``, or start one with ``resources`` (``num_cpus``, ``num_gpus``) on this machine
    for the time of the block.

    A program that is connected to Ray already stays so. Raises UserError if there is no such cluster, or if the
    program is connected to another one.
    """
    ours = not ray.is_initialized()
    if ours:
        with _signals_kept():
            _start(resources) if address is None else _join(address)
        _hush()
    elif address is not None:
        _check_same(address)
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _start(resources: dict[str, Any]) -> None:
    # A token of our own for Ray's authentication, or Ray would leave one in the home folder, for good.
    if os.environ.get("RAY_AUTH_MODE") is None and os.environ.get("RAY_AUTH_TOKEN_PATH") is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init(address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **resources, **_QUIET)


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


def _check_same(address: str) -> None:
    here: str = ray.get_runtime_context().gcs_address
    asked, joined = _host_and_port(address), _host_and_port(here)
    if asked is None or joined is None or asked == joined:
        return
    if asked[1] != joined[1] or asked[0] not in ("localhost", "127.0.0.1", "::1"):
        raise UserError(
            f"--address {address}: cannot join a Ray cluster there, for this program is connected to the one at "
            f"{here}; call ray.shutdown() first, or leave the address out"
        )


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at host:port: Ray itself would wait for minutes."""
    place = _host_and_port(address)
    if place:
        socket.create_connection(place, timeout=10).close()


def _host_and_port(address: str) -> tuple[str, int] | None:
    """None for what is not of that form: ``auto``, ``ray://…``."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return None
    return host.strip("[]"), int(port)


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
