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
