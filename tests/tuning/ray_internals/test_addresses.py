"""Tests of the assumptions of `tuning.ray_internals.addresses` about Ray."""

from __future__ import annotations

from ray._private import ray_constants

from tuning.ray_internals.addresses import head_address, loopback


def test_an_address_is_resolved_without_a_connection() -> None:
    assert head_address("10.0.0.9:6379") == ("10.0.0.9", 6379)
    assert head_address("ray://somewhere:10001") is None


def test_ray_believes_in_no_cluster_within_the_block_only() -> None:
    before = ray_constants.ENABLE_RAY_CLUSTER
    with loopback():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert ray_constants.ENABLE_RAY_CLUSTER is before
