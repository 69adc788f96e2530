"""Properties of the hardware on which speed depends."""

from __future__ import annotations

import ctypes
import os
import re
from functools import cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
CACHE = Path("/sys/devices/system/cpu/cpu0/cache")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT_BYTES = 1 << 30
LARGEST_MMAP_THRESHOLD = 32 << 20
"""More is refused."""
UNITS = {"K": 10, "M": 20}
BLOCK_BYTES = 4 << 20
"""A virtual machine names the last-level cache of the whole processor, 260 MiB, of which it has little."""
USUAL_CACHE_BYTES = 32 << 20
"""Last-level cache that is taken for granted where the system does not tell (Linux does)."""


@cache
def cpu_words() -> frozenset[str]:
    """Words that the system says of the first CPU: vendor, model and instruction sets; none where it does not tell."""
    if not CPUINFO.is_file():
        return frozenset()
    return frozenset(CPUINFO.read_text().partition("\n\n")[0].split())


@cache
def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones, once for a process.

    By default it gives large blocks back to the system, which has to hand out every page again, zeroed, at the
    next step: a tenth of a step (docs/LOG.md). Elsewhere than with glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)


def chunk_bytes(device: torch.device) -> int:
    """Bytes of the blocks in which work on users × items is done on a device.

    On CPU it is 4 MiB for each thread, at most a quarter of the last-level cache, which other processes use, too
    (docs/log/2026-11-29-blocks-in-cache.md). On a GPU it is a sixty-fourth of its memory.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // 64
    return min(last_level_cache() // 4, BLOCK_BYTES * torch.get_num_threads())


@cache
def last_level_cache() -> int:
    """Bytes of the largest cache of a core."""
    sizes = [re.fullmatch(r"(\d+)([KM])\s*", file.read_text()) for file in CACHE.glob("index*/size")]
    return max((int(size[1]) << UNITS[size[2]] for size in sizes if size), default=USUAL_CACHE_BYTES)
