"""The filters against a naive implementation in plain Python, on random interactions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.entry import ItemTable, Raw
from fame.datasets.preparation.prepare import prepare
from fame.errors import UserError
from tests.fame.datasets.files import GOOD, dataset_of, own
from tests.fame.datasets.filters import config, histories, naive, raw, rows_strategy


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


def test_repeats_are_dropped_unless_kept(write):
    path = write("a.csv", "user,item,time", *(f"1,{i % 4},{i}" for i in range(8)))
    assert dataset_of(path).sequences[0].tolist() == [1, 2, 3, 4]
    assert dataset_of(path, repeats="keep").sequences[0].tolist() == [1, 2, 3, 4] * 2


def test_users_that_cannot_be_split_are_reported(write):
    lines: list[str] = []
    path = own(write, *GOOD, "2,0,0")
    dataset = load_dataset(DataConfig(name="own", path=path, core=1), report=lines.append)
    assert dataset.statistics["users"] == 1
    assert lines == ["own: 1 of 2 users left out by: users with ≥ 3"]


def test_nothing_left_after_the_core(write):
    with pytest.raises(UserError, match=r"data.core = 5 leaves nothing of own: before it there were 1 users, 3 items"):
        dataset_of(own(write, *GOOD), core=5)
