"""The options of a request become its fields."""

from __future__ import annotations

import argparse

import pytest

from fame.errors import UserError
from fame.serving.options import add_request_options, parse_filters, request_fields


def fields(*args: str) -> dict:
    parser = argparse.ArgumentParser()
    add_request_options(parser)
    return request_fields(parser.parse_args(args))


def test_nothing_said_asks_for_ten_items() -> None:
    assert fields() == {"top": 10, "candidates": None, "exclude": [], "where": {}, "min_score": None, "seen": None}


def test_every_option_is_a_field() -> None:
    options = ["--top", "3", "--candidates", "a,b", "--exclude", "c", "--filter", "kind=x", "--min-score", "0.5"]
    expected = {"top": 3, "candidates": ["a", "b"], "exclude": ["c"], "where": {"kind": ["x"]}, "min_score": 0.5}
    assert fields(*options, "--seen") == {**expected, "seen": True}
    assert fields(*options, "--unseen") == {**expected, "seen": False}


def test_filters_of_one_column_are_put_together() -> None:
    texts = ["brand=A", "brand = B ", "price<=20", "price>=5", "note=a=b"]
    assert parse_filters(texts) == {"brand": ["A", "B"], "price": {"max": 20.0, "min": 5.0}, "note": ["a=b"]}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["brand"], "must look like COLUMN=LABEL"),
        (["price>=cheap"], "'cheap' is not a number"),
        (["price=5", "price>=3"], "a column has labels or bounds, not both"),
    ],
)
def test_a_filter_that_cannot_be_is_one_line(texts: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_filters(texts)
