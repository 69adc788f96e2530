"""Tests of the assumptions of `tuning.ray_internals.key_value` about Ray, without a head: names and parameters."""

from __future__ import annotations

import inspect

from ray.experimental import internal_kv

from tuning.ray_internals import key_value


def test_ray_has_the_calls_that_are_used() -> None:
    put = inspect.signature(internal_kv._internal_kv_put).parameters
    assert {"overwrite", "namespace"} <= put.keys()
    for call in (internal_kv._internal_kv_get, internal_kv._internal_kv_del):
        assert "namespace" in inspect.signature(call).parameters


def test_values_are_kept_under_a_namespace_of_our_own(monkeypatch) -> None:
    kept: dict[tuple[bytes, bytes], bytes] = {}
    monkeypatch.setattr(
        internal_kv, "_internal_kv_put", lambda key, value, overwrite, namespace: kept.update({(namespace, key): value})
    )
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key, namespace: kept.get((namespace, key)))
    monkeypatch.setattr(internal_kv, "_internal_kv_del", lambda key, namespace: kept.pop((namespace, key), None))
    key_value.put(b"a", b"1")
    key_value.put(b"a", b"2")
    assert key_value.get(b"a") == b"2" and set(kept) == {(key_value.NAMESPACE, b"a")}
    key_value.remove(b"a")
    assert key_value.get(b"a") is None
