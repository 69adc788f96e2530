"""The lock of a sweep: one driver at a time.

The lock is a lease of `fame.artifacts` among the sweep's own files. It holds on network file systems and in object
stores, too. A dead driver's lock expires: at once on its own machine, elsewhere after the lease's patience.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from fame.artifacts.lease import PATIENCE, Lease, machine
from fame.errors import UserError
from tuning.storage.layout import Storage, leaves_no_empty_folder
from tuning.storage.remote_folder import open_folder

NAME = "driver"
POLL_SECONDS = 0.5


@contextlib.contextmanager
def locked(storage: Storage, patience: float = PATIENCE) -> Iterator[list[Lease]]:
    """Hold the sweep's lock as long as the block lasts. Raises `UserError` if another driver holds it.

    Yields the leases. A lease whose `lost` is set was taken over by a driver elsewhere.
    """
    # The driver's own files may lie elsewhere than those that all nodes reach: then each place is locked.
    places = dict.fromkeys((str(storage.local), storage.shared))
    with leaves_no_empty_folder(storage.local), contextlib.ExitStack() as held:
        leases = [Lease(open_folder(place), NAME, patience) for place in places]
        for lease in leases:
            _acquire(lease, storage.name)
            held.callback(_release, lease)
        yield leases


def _release(lease: Lease) -> None:
    with contextlib.suppress(OSError):  # a store that does not answer: there it ends when it has not beaten for long
        lease.release()


def _acquire(lease: Lease, sweep: str) -> None:
    """Acquire the lease. Wait until it is known whether an owner on another machine is alive."""
    first: dict[str, Any] | None = None
    while not lease.acquire():
        holder = lease.holder()
        if holder is not None and first is None:
            first = holder
            if not _is_here(holder):
                print(
                    f"waiting up to {lease.patience:.0f} s to see whether sweep '{sweep}' still runs: "
                    f"it was last driven by process {holder['pid']} on {holder['host']}",
                    flush=True,
                )
        if holder is not None and (_is_here(holder) or holder != first):
            raise UserError(
                f"sweep '{sweep}' is running (process {holder['pid']} on {holder['host']}): "
                "let it end or stop it, or choose another --name"
            )
        time.sleep(POLL_SECONDS)


def _is_here(holder: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine. `Lease` knows that it is alive."""
    return holder["machine"] is not None and holder["machine"] == machine()
