"""Settings of all tests: one thread, reproducible examples, warnings are errors."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for the processes that tests start

import pytest
import torch
from hypothesis import settings

from fame.datasets.sequences import Sequences
from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU, cyclic_sequences

torch.set_num_threads(1)
settings.register_profile("fame", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("fame")


@pytest.fixture
def single() -> Workers:
    """The only worker, on the CPU even where there is a GPU."""
    return Workers(device=CPU)


@pytest.fixture(scope="session")
def tiny() -> Sequences:
    """Forty users over thirty items whose next item is nearly always the next number."""
    return cyclic_sequences(users=40, item_count=30, longest=14, seed=0)
