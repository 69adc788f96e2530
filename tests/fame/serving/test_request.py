"""Requests as they arrive: JSON objects and rows of data frames."""

from __future__ import annotations

import numpy as np
import pytest

from fame.errors import UserError
from fame.serving.request import Request


def test_a_row_of_a_data_frame_is_the_request_that_was_meant():
    row = {
        "history": np.array([1.0, 2.0]),
        "user": float("nan"),
        "top": 3.0,
        "where": {"price": {"max": 5.0}},
        "seen": np.bool_(True),
        "min_score": None,
    }
    assert Request.read(row) == Request(history=[1, 2], top=3, where={"price": {"max": 5}}, seen=True)


@pytest.mark.parametrize("history", [["a", 1], [1.0], np.array([5, 6]), ()])
def test_ids_are_whole_numbers_and_texts(history):
    assert len(Request(history=history).history) == len(history)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs a history or a user"),
        ({"history": [1], "exlude": []}, "exlude: a request has no such field; did you mean 'exclude'"),
        ({"history": [1], "exclude": [None]}, "exclude has None: an item id"),
        ({"user": True}, "user = True: a user id is a whole number or a text"),
        ({"user": 1, "history": [2]}, "not both"),
        ([1, 2], "[1, 2] is no request"),
    ],
)
def test_what_cannot_be_understood_is_said(given, words):
    with pytest.raises(UserError) as raised:
        Request.read(given)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"top": 0}, "top = 0: must be a whole number of at least 1"),
        ({"top": True}, "top = True: must be"),
        ({"top": 2.0}, "top = 2.0: must be"),
        ({"history": "i1"}, "history = 'i1': must be a list of item ids"),
        ({"candidates": "i1"}, "candidates = 'i1': must be a list"),
        ({"exclude": None}, "exclude = None: must be a list"),
        ({"min_score": float("nan")}, "min_score = nan: must be a number"),
        ({"min_score": "high"}, "min_score = 'high': must be a number"),
        ({"where": ["brand"]}, "where = ['brand']: must name columns"),
        ({"where": {"price": {"low": 3}}}, "where price = {'low': 3}: give a label"),
        ({"where": {"price": {}}}, "where price = {}: give a label"),
        ({"where": {"brand": [["Acme"]]}}, "where brand = [['Acme']]: give a label"),
    ],
)
def test_a_request_that_cannot_be_understood_is_one_line(fields, words):
    with pytest.raises(UserError) as raised:
        Request(**fields)
    assert words in str(raised.value) and "\n" not in str(raised.value)
