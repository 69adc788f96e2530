"""Units of times: numbers of several units become one, as Python's own integers say."""

from __future__ import annotations

import numpy as np
import pytest

from fame.errors import UserError
from fame.tables.units import between, in_nanoseconds, scaled, shown
from tests.fame.datasets.files import BEGIN


def test_the_same_moment_in_every_unit_is_one_number() -> None:
    times = [BEGIN * factor for factor in (1, 10**3, 10**6, 10**9)]
    assert in_nanoseconds(np.array(times)).tolist() == [BEGIN * 10**9] * 4
    assert in_nanoseconds(np.array([BEGIN + 0.5])).tolist() == [BEGIN * 10**9 + 500_000_000]


def test_a_finer_unit_that_does_not_fit_is_an_error() -> None:
    largest = (2**63 - 1) // 1000
    assert scaled(np.array([largest, -largest]), 1000).tolist() == [largest * 1000, -largest * 1000]
    with pytest.raises(UserError, match="too far apart to be compared"):
        scaled(np.array([largest + 1]), 1000)


@pytest.mark.parametrize("bounds", [(0, 9), (3, 6), (7, 9), (-5, 0)])
def test_values_between_bounds_are_counted(bounds: tuple[int, int]) -> None:
    values = [0, 2, 3, 5, 6]
    count, mask = between(np.array(values), (0, 6), *bounds)
    inside = [bounds[0] <= value < bounds[1] for value in values]
    assert count == sum(inside) and np.broadcast_to(mask, len(values)).tolist() == inside


def test_a_time_is_shown_as_a_date_where_its_unit_is_known() -> None:
    assert (shown(BEGIN, None), shown(BEGIN * 1000, "ms")) == ("1700000000", "2023-11-14 22:13:20")
