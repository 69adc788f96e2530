"""Addresses of Ray's processes.

Assumptions: `canonicalize_bootstrap_address` resolves `auto` without connecting, `extract_ip_port` splits its answer, and
Ray binds to 127.0.0.1 only while `ENABLE_RAY_CLUSTER` is off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def head_address(address: str) -> tuple[str, int] | None:
    """Return host and port of the head of the cluster at `address`.

    Return None for a URI, and for `auto` where Ray knows of no cluster.
    """
    from ray._private.services import canonicalize_bootstrap_address, extract_ip_port

    resolved = None if "://" in address else canonicalize_bootstrap_address(address)
    return None if resolved is None else extract_ip_port(resolved)


@contextlib.contextmanager
def loopback() -> Iterator[None]:
    """Let Ray take 127.0.0.1 as its address.

    Otherwise it looks for an address that other machines reach, and all its processes listen on every network.
    """
    from ray._private import ray_constants

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
