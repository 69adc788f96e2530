"""Settings of all tests: one thread, reproducible examples, warnings are errors."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for the processes that tests start

from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of prepared data that a module's tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        yield
