"""The columns of the roles: known by their usual names, named, or chosen by number."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import GOOD, dataset_of, own


def test_usual_column_names_need_no_columns(write):
    path = write("a.csv", "rating,movieId,timestamp,userId", *(f"5,{i},{9 - i},1" for i in range(4)))
    dataset = dataset_of(path)
    assert dataset.items.ids[dataset.sequences[0] - 1].tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user": "person"}, "has no column 'person' .user.; columns there: user, item, when"),
        ({"users": "user"}, "unknown role 'users'; the roles are user, item, time, rating"),
        ({}, "which column is the time. Name it with --columns time=NAME; columns there: user, item, when"),
        ({"time": "user"}, "which column is the user"),
        ({"time": "item", "item": "item"}, "the same column is used twice"),
    ],
)
def test_unusable_columns(columns, words, write):
    with pytest.raises(UserError, match=words):
        dataset_of(write("a.csv", "user,item,when", *GOOD), columns=columns)


def test_a_rating_filter_needs_ratings(write):
    with pytest.raises(UserError, match=r"data.min_rating needs ratings, and .* has none"):
        dataset_of(own(write, *GOOD), min_rating=2.0)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*GOOD, "2,0,0x"], "time '0x' in row 4 is not a number"),
        ([*GOOD, "2,,0"], "item id in row 4 is missing"),
        ([*GOOD, "nan,1,0"], "user id in row 4 is missing"),
        ([*GOOD, "2,NULL,0"], "item id in row 4 is missing"),
        ([*GOOD, "2,1"], "Expected 3 columns, got 2"),
        (["1,1,1"], "data.min_history = 3 leaves nothing of own: before it there were 1 users"),
        ([], "has no interactions"),
    ],
)
def test_unusable_rows(lines, words, write):
    with pytest.raises(UserError, match=words) as caught:
        dataset_of(own(write, *lines))
    assert "\n" not in str(caught.value)
