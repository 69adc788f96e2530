"""Ray Data over the parts of a work, on the cluster at an address."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuning.machines.local_ray import disconnect
from tuning.machines.resources import connect

if TYPE_CHECKING:
    from ray.data import Dataset as Parts

QUIET = {"logging_level": "ERROR", "log_to_driver": False}


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster as long as the block lasts. Raises `UserError` if it does not answer."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    connect(address, QUIET)
    try:
        yield
    finally:
        disconnect()


def parts_of(rows: Sequence[dict[str, Any]], in_order: bool = False) -> Parts:
    """Return a Ray dataset with a block for each row. `in_order`: results come in the order of the rows."""
    from ray import data  # sets its logger's level when it is imported

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it raises its errors, too
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = in_order
    return data.from_items(list(rows), override_num_blocks=len(rows))
