"""The key-value store in Ray's head, which every process of the cluster reaches.

Assumption: `ray.experimental.internal_kv` has put, get and del with namespaces.
"""

from __future__ import annotations

from ray.experimental import internal_kv

NAMESPACE = b"fame-pulse"


def put(key: bytes, value: bytes) -> None:
    """Write a value, also over an earlier one."""
    internal_kv._internal_kv_put(key, value, overwrite=True, namespace=NAMESPACE)


def get(key: bytes) -> bytes | None:
    """Return a value; None if there is none."""
    return internal_kv._internal_kv_get(key, namespace=NAMESPACE)


def remove(key: bytes) -> None:
    """Remove a value, if there is one."""
    internal_kv._internal_kv_del(key, namespace=NAMESPACE)
