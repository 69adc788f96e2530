"""Many interactions go to disk, bucket by bucket, with the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame.config import SplitConfig
from fame.datasets.entry import Chunk, Raw
from fame.datasets.preparation.prepare import prepare
from fame.errors import UserError
from tests.fame.datasets.filters import config, histories, naive, raw, rows_strategy


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """Few rows are many, so that they go to disk; returns the folder where they go."""
    monkeypatch.setattr("fame.datasets.preparation.buckets.ROWS_IN_MEMORY", 9)
    monkeypatch.setattr("fame.datasets.preparation.buckets.BUCKETS", 3)
    monkeypatch.setenv("FAME_DATA", str(tmp_path))
    return tmp_path


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_strategy, core=st.integers(1, 4), repeats=st.sampled_from(["keep", "drop"]))
def test_on_disk_it_equals_the_naive_filters_and_leaves_no_file(rows, core, repeats, on_disk):
    chosen = config(core=core, min_rating=3.0, repeats=repeats)
    wanted = naive(rows, chosen)
    if wanted:
        assert histories(rows, chosen) == wanted
    assert list(on_disk.iterdir()) == []


@pytest.mark.parametrize("by", ["time", "files"])
def test_on_disk_each_split_is_the_same(by, on_disk, monkeypatch):
    def chunks(with_rating: bool):
        draw = np.random.default_rng(0)
        for part in (0, 1, 2):
            for unit, kind in (("s", np.int64), ("us", np.int64)):
                user, item, time = (draw.integers(high, size=40) for high in (6, 20, 99))
                times = (10**9 + time).astype(kind) * (1 if unit == "s" else 10**6)
                yield Chunk(user=user, item=item, time=pa.array(times, pa.timestamp(unit)), part=part)

    split = {"by": by, "validation": 0.2, "test": 0.2} if by == "time" else {"by": by, "validation": "v", "test": "t"}
    chosen = config(split=SplitConfig(**split), min_history=1, path="train.csv")
    spread = prepare(Raw(interactions=[chunks], items=lambda: None), chosen)
    monkeypatch.setattr("fame.datasets.preparation.buckets.ROWS_IN_MEMORY", 1 << 20)
    whole = prepare(Raw(interactions=[chunks], items=lambda: None), chosen)
    for name in ("values", "offsets", "validation", "test", "user_ids", "item_ids"):
        assert getattr(spread, name).tolist() == getattr(whole, name).tolist(), name
    assert (spread.begins, spread.notes, spread.steps) == (whole.begins, whole.notes, whole.steps)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(on_disk, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    rows = [(user, item, item, 5.0) for user in range(9) for item in range(9)]
    with pytest.raises(UserError, match=r"cannot write to the cache .*: No space left on device; set FAME_DATA"):
        prepare(raw(rows), config())
