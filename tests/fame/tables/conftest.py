"""Every test has a cache folder of its own, and nothing reaches the network."""

from __future__ import annotations

from tests.fame.datasets.fixtures import cache_folder, write

__all__ = ["cache_folder", "write"]
