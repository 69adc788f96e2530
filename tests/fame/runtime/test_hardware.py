"""Cache sizes, from files as Linux has them."""

from __future__ import annotations

import pytest
import torch

import fame.runtime.hardware
from fame.runtime.hardware import USUAL_CACHE_BYTES, chunk_bytes, last_level_cache
from tests.fame.helpers import CPU


def caches(folder, *sizes: str):
    for index, size in enumerate(sizes):
        (folder / f"index{index}").mkdir(parents=True)
        (folder / f"index{index}" / "size").write_text(size + "\n")
    return folder


@pytest.fixture(autouse=True)
def asked_anew():
    last_level_cache.cache_clear()
    yield
    last_level_cache.cache_clear()


def test_the_largest_cache_is_the_last_level(tmp_path, monkeypatch):
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path, "32K", "32K", "1024K", "260M"))
    assert last_level_cache() == 260 << 20
    last_level_cache.cache_clear()
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path / "small", "32K", "512K"))
    assert last_level_cache() == 512 << 10


def test_a_system_that_does_not_tell_gets_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", tmp_path / "nothing")
    assert last_level_cache() == USUAL_CACHE_BYTES
    last_level_cache.cache_clear()
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path, "", "unknown"))
    assert last_level_cache() == USUAL_CACHE_BYTES


@pytest.mark.parametrize(
    ("cache", "threads", "expected"),
    [("260M", 1, 4 << 20), ("260M", 3, 12 << 20), ("8M", 1, 2 << 20), ("8M", 9, 2 << 20)],
)
def test_chunks_on_cpu_are_small_for_each_thread_and_at_most_a_quarter_of_the_cache(
    cache, threads, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path, "32K", cache))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert chunk_bytes(CPU) == chunk_bytes(torch.device("cpu", 0)) == expected
