"""The filters against a naive implementation in plain Python, on random interactions."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame.config import DataConfig, SplitConfig
from fame.datasets.entry import Chunk, ItemTable, Raw
from fame.datasets.prepare import prepare
from fame.errors import UserError

Row = tuple[object, object, int, float]


def config(**changes) -> DataConfig:
    plain = {"min_rating": 0.0, "core": 1, "min_history": 3, "max_history": 0, "repeats": "keep"}
    return DataConfig(name="test", **{**plain, **changes})


def raw(rows: list[Row], chunk_rows: int = 7) -> Raw:
    def chunks(with_rating: bool):
        for begin in range(0, len(rows), chunk_rows):
            user, item, time, rating = zip(*rows[begin : begin + chunk_rows], strict=True)
            yield Chunk(
                user=np.array(user),
                item=np.array(item),
                time=np.array(time),
                rating=np.array(rating) if with_rating else None,
            )

    return Raw(interactions=chunks, items=lambda: None)


def histories(rows: list[Row], settings_: DataConfig) -> dict[object, list[object]]:
    """The result by user id, or UserError."""
    result = prepare(raw(rows), settings_)
    bounds = zip(result.offsets, result.offsets[1:], strict=False)
    return {
        user: result.item_ids[result.values[a:b] - 1].tolist()
        for user, (a, b) in zip(result.user_ids.tolist(), bounds, strict=True)
    }


def naive(rows: list[Row], c: DataConfig) -> dict[object, list[object]]:
    rows = [row for row in rows if row[3] >= c.min_rating]
    rows = sorted(rows, key=lambda row: row[2])
    if c.repeats == "drop":
        seen: set[tuple[object, object]] = set()
        rows = [row for row in rows if row[:2] not in seen and not seen.add(row[:2])]
    while True:
        users, items = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        kept = [row for row in rows if users[row[0]] >= c.core and items[row[1]] >= c.core]
        if len(kept) == len(rows):
            break
        rows = kept
    result = defaultdict(list)
    for user, item, *_ in rows:
        result[user].append(item)
    return {
        user: result[user]
        for user in sorted(result)
        if len(result[user]) >= c.min_history and (c.max_history == 0 or len(result[user]) <= c.max_history)
    }


rows_strategy = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 20), st.sampled_from([1.0, 3.0, 4.5, 5.0])),
    min_size=1,
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=rows_strategy,
    core=st.integers(1, 4),
    min_rating=st.sampled_from([0.0, 3.0, 4.5]),
    repeats=st.sampled_from(["keep", "drop"]),
    max_history=st.sampled_from([0, 5, 12]),
)
def test_equals_the_naive_filters(rows, core, min_rating, repeats, max_history):
    chosen = config(core=core, min_rating=min_rating, repeats=repeats, max_history=max_history)
    wanted = naive(rows, chosen)
    if not wanted:
        with pytest.raises(UserError, match=r"leaves nothing of test"):
            histories(rows, chosen)
    else:
        assert histories(rows, chosen) == wanted


@settings(max_examples=50, deadline=None)
@given(rows=rows_strategy, seed=st.integers(0, 100))
def test_order_of_rows_with_different_times_does_not_matter(rows, seed):
    rows = [(*row[:2], time, row[3]) for time, row in enumerate(rows)] + [(99, i, 1000 + i, 5.0) for i in range(3)]
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert histories(rows, config()) == histories(shuffled, config())


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """Few rows are many, so that they go to disk; returns the folder where they go."""
    monkeypatch.setattr("fame.datasets.buckets.ROWS_IN_MEMORY", 9)
    monkeypatch.setattr("fame.datasets.buckets.BUCKETS", 3)
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
    spread = prepare(Raw(interactions=chunks, items=lambda: None), chosen)
    monkeypatch.setattr("fame.datasets.buckets.ROWS_IN_MEMORY", 1 << 20)
    whole = prepare(Raw(interactions=chunks, items=lambda: None), chosen)
    for name in ("values", "offsets", "validation", "test", "user_ids", "item_ids"):
        assert getattr(spread, name).tolist() == getattr(whole, name).tolist(), name
    assert (spread.begins, spread.notes, spread.steps) == (whole.begins, whole.notes, whole.steps)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(on_disk, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    rows = [(user, item, item, 5.0) for user in range(9) for item in range(9)]
    with pytest.raises(UserError, match=r"cannot write to the cache .*: No space left on device; set FAME_DATA"):
        prepare(raw(rows), config())


def test_ties_keep_the_order_of_the_file():
    assert histories([(1, item, 5, 1.0) for item in (4, 2, 9, 1)] + [(1, 7, 4, 1.0)], config()) == {1: [7, 4, 2, 9, 1]}


def test_integers_are_numbered_by_value_and_text_by_code_point():
    numbers = prepare(raw([(1, item, 0, 1.0) for item in (10, 9, 100)]), config())
    assert numbers.item_ids.tolist() == [9, 10, 100]
    assert numbers.values.tolist() == [2, 1, 3]
    texts = prepare(raw([("u", item, 0, 1.0) for item in ("b", "B", "10", "9")]), config())
    assert texts.item_ids.tolist() == ["10", "9", "B", "b"]
    assert texts.values.tolist() == [4, 3, 1, 2]


def test_every_step_is_counted():
    rows = [(1, i, i, 5.0) for i in range(4)] + [(2, 0, 0, 5.0), (2, 1, 1, 2.0), (3, 0, 0, 1.0)]
    steps = prepare(raw(rows), config(min_rating=3.0)).steps
    assert [(s.users, s.items, s.actions) for s in steps] == [(3, 4, 7), (2, 4, 5), (1, 4, 4)]
    assert [s.name for s in steps] == ["read", "rating ≥ 3", "users with ≥ 3"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"min_rating": 9.0},
            "data.min_rating = 9.0 leaves nothing of test: before it there were 2 users, 4 items and 7",
        ),
        ({"core": 5}, "data.core = 5 leaves nothing"),
        ({"min_history": 6}, "data.min_history = 6 leaves nothing"),
        ({"max_history": 3}, "data.max_history = 3 leaves nothing"),
    ],
)
def test_a_filter_that_leaves_nothing_is_named(changes, words):
    rows = [(user, item, item, 5.0) for user in (1, 2) for item in range(4)][:-1]
    rows[-1] = (1, 0, 9, 5.0)  # 5 and 2 interactions
    with pytest.raises(UserError, match=words):
        histories(rows, config(**changes))


def test_items_without_interactions_stay_only_in_a_whole_catalogue():
    rows = [(1, item, item, 1.0) for item in (2, 4, 6)]
    table = ItemTable(ids=[str(i) for i in range(1, 8)], columns={})
    whole = Raw(interactions=raw(rows).interactions, items=lambda: table, whole_catalogue=True)
    result = prepare(whole, config())
    assert result.item_ids.tolist() == list(range(1, 8))
    assert result.values.tolist() == [2, 4, 6]
    assert prepare(raw(rows), config()).item_ids.tolist() == [2, 4, 6]
