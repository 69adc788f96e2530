"""Filters on columns of items, against one item at a time in plain Python."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from fame.serving.columns import ItemColumns

TEXTS = {"brand": ["Acme", "Zest|Acme", "", "Zest", "7"], "price": ["1", "2.5", "unknown", "-3", ""]}
COLUMNS = ItemColumns(TEXTS, 5)


@pytest.mark.parametrize("wanted", ["Acme", ["Acme", "Zest"], "Zest|Acme", 7, "none such", []])
def test_labels(wanted) -> None:
    asked = {str(label) for label in (wanted if isinstance(wanted, list) else [wanted])}
    expected = [bool(asked & {text, *text.split("|")}) for text in TEXTS["brand"]]
    assert COLUMNS.matching({"brand": wanted}).tolist() == expected


@pytest.mark.parametrize("bounds", [{"min": 1}, {"max": 2.5}, {"min": -5, "max": 1}])
def test_a_text_that_is_no_number_is_within_no_bounds(bounds) -> None:
    numbers = [1.0, 2.5, None, -3.0, None]
    low, high = bounds.get("min", -99), bounds.get("max", 99)
    expected = [number is not None and low <= number <= high for number in numbers]
    assert COLUMNS.matching({"price": bounds}).tolist() == expected


def test_all_filters_hold_together_and_columns_have_names() -> None:
    assert COLUMNS.matching({"brand": "Acme", "price": {"min": 2}}).tolist() == [False, True, False, False, False]
    assert sorted(COLUMNS.labels("brand")) == ["7", "Acme", "Zest", "Zest|Acme"]
    with pytest.raises(UserError, match="did you mean 'brand'"):
        COLUMNS.matching({"brnd": "Acme"})
    with pytest.raises(UserError, match="the exported folder has none"):
        ItemColumns({}, 5).matching({"brand": "Acme"})
