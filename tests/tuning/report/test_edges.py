"""A best value at the edge of what was searched is told."""

from __future__ import annotations

import pytest

from tuning.report.edges import edges
from tuning.space.file import space_from_dict

SPACE = {
    "base": {},
    "search": {
        "model.heads": {"choices": [1, 2, 4]},
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "train.weight_decay": {"choices": [0.0, 1e-5, 1e-4]},
        "train.batch_size": {"low": 16, "high": 64},
        "train.optimizer": {"choices": ["adam", "adamw"]},
    },
}


MIDDLE = {
    "model.heads": 2, "train.lr": 1e-3, "model.dropout": 0.3, "train.weight_decay": 1e-5, "train.batch_size": 32,
    "train.optimizer": "adam",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, None),
        ({"model.heads": 1}, None),  # there is no less than one
        ({"model.heads": 4}, "model.heads = 4 is at the upper end of what was searched ({1, 2, 4}): values above"),
        ({"train.lr": 9.9e-3}, "train.lr = 0.0099 is at the upper end of what was searched (0.0001 to 0.01, log)"),
        ({"train.lr": 1.01e-4}, "train.lr = 0.000101 is at the lower end"),
        ({"train.lr": 5e-3}, None),
        ({"model.dropout": 0.1}, "model.dropout = 0.1 is at the lower end"),
        ({"train.weight_decay": 0.0}, None),  # must not be negative
        ({"train.weight_decay": 1e-4}, "train.weight_decay = 0.0001 is at the upper end"),
        ({"train.batch_size": 16}, "train.batch_size = 16 is at the lower end"),
        ({"train.batch_size": 17}, None),
        ({"train.optimizer": "adamw"}, None),  # no order
    ],
)
def test_a_best_value_at_the_edge_is_told_unless_nothing_lies_beyond(changed, words):
    found = edges(space_from_dict(SPACE), {**MIDDLE, **changed})
    if words is None:
        assert found == []
    else:
        assert len(found) == 1 and found[0].startswith(words)
