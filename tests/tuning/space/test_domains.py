"""Domains and constraints."""

from __future__ import annotations

import pytest

from tuning.space.domains import FloatRange, IntRange, read_constraint


@pytest.mark.parametrize("text", ["3 divides a", "a <= b", "a < 2", "a >= 1.5", "b > a", "a == 6", "a != b"])
def test_constraint_forms(text):
    constraint = read_constraint(text)
    assert constraint.holds({"a": 6, "b": 7}) == (text != "a < 2")
    assert str(constraint) == text


def test_ranges_include_both_ends():
    assert FloatRange(0.1, 0.6, step=0.1).values() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert list(IntRange(1, 7, step=3).values()) == [1, 4, 7]
    assert 0.25 not in FloatRange(0.1, 0.6, step=0.1)
