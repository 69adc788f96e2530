"""Ranges say what belongs to them, in the words of the messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.config.ranges import Range, ranges
from fame.config.train import TrainConfig
from fame.models.fame import FameConfig


@pytest.mark.parametrize(
    ("allowed", "words", "inside", "outside"),
    [
        (Range(low=1), "at least 1", [1, 7], [0, 0.5]),
        (Range(low=3, why="one each"), "at least 3 (one each)", [3], [2]),
        (Range(low=0, open_low=True), "positive", [1e-9, 5], [0, -1]),
        (Range(low=0, high=1), "between 0 and 1", [0, 1], [-0.1, 1.1]),
        (Range(low=0, high=1, open_high=True), "in [0, 1)", [0, 0.99], [1]),
        (Range(low=0, high=1, open_low=True), "in (0, 1]", [1, 0.01], [0]),
        (Range(low=0, high=1, open_low=True, open_high=True), "in (0, 1)", [0.5], [0, 1]),
    ],
)
def test_what_belongs_to_a_range_and_its_words(allowed, words, inside, outside):
    assert str(allowed) == words
    assert all(value in allowed for value in inside) and not any(value in allowed for value in outside)


@given(st.floats(allow_nan=True, allow_infinity=False))
def test_a_range_is_what_its_ends_say(value):
    assert (value in Range(low=-2, high=3)) == (-2 <= value <= 3)
    assert float("nan") not in Range(low=0)


def test_a_section_has_the_ranges_of_its_fields_and_of_those_it_derives_from():
    assert ranges(TrainConfig)["negatives"] == Range(low=1)
    assert "mode" not in ranges(TrainConfig)
    assert {"experts", "dim", "dropout"} <= ranges(FameConfig).keys()
