"""What the hardware says about itself, where speed depends on it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import torch

CACHE = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 10, "M": 20}
USUAL_CACHE_BYTES = 32 << 20
"""Last-level cache that is taken for granted where the system does not tell (Linux does)."""


@cache
def chunk_bytes(device: torch.device) -> int:
    """Bytes of the blocks in which work on users × items is done on a device.

    On CPU an eighth of the last-level cache, which other threads and processes use, too (docs/LOG.md);
    on a GPU a sixty-fourth of its memory.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // 64
    return last_level_cache() // 8


def last_level_cache() -> int:
    """Bytes of the largest cache of a core."""
    sizes = [re.fullmatch(r"(\d+)([KM])\s*", file.read_text()) for file in CACHE.glob("index*/size")]
    return max((int(size[1]) << UNITS[size[2]] for size in sizes if size), default=USUAL_CACHE_BYTES)
