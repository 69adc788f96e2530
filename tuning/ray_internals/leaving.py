"""Leaving Ray without being ended by it.

A reference to an object of Ray that is freed in another thread while Ray (2.60) shuts down ends the process: `_Exit(1)` after
one line of C++, without an exception. Python's collector of garbage frees in whichever thread it runs. What Tune leaves has
such references in circles. So garbage is collected before, and none while Ray shuts down.

Assumption: before and after the shutdown a reference can be freed in any thread.
"""

from __future__ import annotations

import gc

import ray


def leave() -> None:
    """Shut this process's Ray down, or disconnect from a cluster."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if enabled:
            gc.enable()
