"""A recipe's key: equal for the same stage, code, settings, beginning and workers, and for nothing else."""

from __future__ import annotations

import dataclasses

from fame.artifacts import StageRecipe
from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU

ONE = Workers(device=CPU)
TEXT = StageRecipe(stage="text", version=1, settings={"text.temperature": 0.1, "seed": 0})


def test_the_order_of_settings_is_not_in_the_key():
    other = dataclasses.replace(TEXT, settings=dict(reversed(TEXT.settings.items())))
    assert other.key(ONE) == TEXT.key(ONE)


def test_all_else_is():
    changes = [{"stage": "other"}, {"version": 2}, {"settings": {}}, {"before": TEXT}]
    changes += [{"before": dataclasses.replace(TEXT, version=2)}]
    keys = {dataclasses.replace(TEXT, **change).key(ONE) for change in changes}
    assert len({TEXT.key(ONE), TEXT.key(Workers(size=2, device=CPU)), *keys}) == len(changes) + 2
