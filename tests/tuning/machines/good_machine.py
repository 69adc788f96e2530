"""A machine on which nothing is amiss."""

from __future__ import annotations

import importlib.metadata

from tuning.machines.checks import Machine, Needs

GIB = 1 << 30
NEEDS = Needs.declared()


GOOD = Machine(
    host="here",
    python="3.11.7",
    packages={name: importlib.metadata.version(name) for name in NEEDS.packages},
    code="c0de",
    open_files=65536,
    shared_memory=8 * GIB,
    disk="/tmp",
    disk_bytes=100 * GIB,
    disk_free=50 * GIB,
)
