"""Cache sizes, from files as Linux has them."""

from __future__ import annotations

import torch

import fame.runtime.hardware
from fame.runtime.hardware import USUAL_CACHE_BYTES, chunk_bytes, last_level_cache
from tests.fame.helpers import CPU


def caches(folder, *sizes: str):
    for index, size in enumerate(sizes):
        (folder / f"index{index}").mkdir(parents=True)
        (folder / f"index{index}" / "size").write_text(size + "\n")
    return folder


def test_the_largest_cache_is_the_last_level(tmp_path, monkeypatch):
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path, "32K", "32K", "1024K", "260M"))
    assert last_level_cache() == 260 << 20
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path / "small", "32K", "512K"))
    assert last_level_cache() == 512 << 10


def test_a_system_that_does_not_tell_gets_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", tmp_path / "nothing")
    assert last_level_cache() == USUAL_CACHE_BYTES
    monkeypatch.setattr(fame.runtime.hardware, "CACHE", caches(tmp_path, "", "unknown"))
    assert last_level_cache() == USUAL_CACHE_BYTES


def test_chunks_on_cpu_are_a_quarter_of_the_cache():
    chunk_bytes.cache_clear()
    assert chunk_bytes(CPU) == last_level_cache() // 4
    assert chunk_bytes(torch.device("cpu", 0)) == chunk_bytes(CPU)
