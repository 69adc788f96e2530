"""The sections `data` and `data.split`: what the parts of a split may be, and which settings go together."""

from __future__ import annotations

import pytest

from fame.config import DataConfig, SplitConfig
from fame.errors import UserError


@pytest.mark.parametrize(
    ("split", "shortest", "text"),
    [
        (SplitConfig(), 3, "leave-one-out"),
        (SplitConfig(validation=0, test=2), 3, "last, validation 0, test 2"),
        (SplitConfig(by="time", test="2024-01-05"), 1, "time, validation 0.1, test 2024-01-05"),
        (SplitConfig(by="files", test="test.csv"), 1, "files"),
    ],
)
def test_a_split_says_what_it_is_and_how_short_a_history_may_be(split: SplitConfig, shortest: int, text: str) -> None:
    assert (split.shortest, str(split), split.leave_one_out) == (shortest, text, text == "leave-one-out")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"by": "last", "test": 0}, "data.split.test = 0: must be a whole number of at least 1"),
        ({"by": "last", "validation": "one"}, "data.split.validation = one: must be a whole number"),
        ({"by": "time", "test": -0.1}, "data.split.test = -0.1: must be a share"),
        ({"by": "time", "validation": 0.6, "test": 0.4}, "data.split = 1.0: the shares leave nothing for training"),
        ({"by": "files"}, "data.split.test = None: must name a file"),
    ],
)
def test_a_part_that_cannot_be_is_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError) as caught:
        SplitConfig(**settings)
    assert words in str(caught.value).replace("'", "")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_history": 2}, "data.min_history = 2: must be at least 3"),
        ({"max_history": 2}, "data.max_history = 2: must be 0 .no limit. or at least data.min_history = 3"),
        ({"where": "a = 1"}, "data.where = .*: needs data.path"),
        ({"item_id": "sku"}, "data.item_id = .*: needs data.items"),
        ({"split": SplitConfig(by="files", test="t.csv")}, "data.split.by = .*: needs data.path"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        DataConfig(**settings)
