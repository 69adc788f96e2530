"""Aims and limits: what they read, what breaks them, and the Pareto front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from fame.errors import UserError
from tuning.study.aims import Limit, aims_of, broken, direction, front
from tuning.study.trials import BROKEN, NUMBERS, RAY_ID, SweepTrial

AIMS = ("ndcg@10", "coverage@10", "latency_ms")


def trial(name: str, ndcg: float, coverage: float, latency: float, over: tuple[str, ...] = ()) -> SweepTrial:
    numbers = {"coverage@10": coverage, "latency_ms": latency}
    attributes = {RAY_ID: name, NUMBERS: numbers, BROKEN: list(over)}
    return SweepTrial(create_trial(state=TrialState.COMPLETE, value=ndcg, user_attrs=attributes))


@pytest.mark.parametrize(
    ("text", "value", "breaks"),
    [
        ("latency_ms < 5", 5.0, True),
        ("latency_ms<=5", 5.0, False),
        ("parameters < 1e6", 999_999, False),
        ("coverage@10 > 0.1", 0.1, True),
        ("coverage@10 >= 0.1", 0.1, False),
        ("coverage@10 > 0", 0.0, True),
    ],
)
def test_a_limit_is_broken_on_its_wrong_side_alone(text: str, value: float, breaks: bool) -> None:
    limit = Limit.parse(text)
    assert (limit.excess(value) > 0) is breaks
    assert broken([limit], {limit.name: value}) == ([str(limit)] if breaks else [])
    assert broken([limit], {}) == []


@pytest.mark.parametrize("text", ["", "latency_ms", "latency_ms < ", "latency_ms < five", "latency_ms < nan", "ms < 5"])
def test_a_text_that_is_no_limit_gets_one_line(text: str) -> None:
    with pytest.raises(UserError, match="--limit"):
        Limit.parse(text)


def test_aims_are_names_with_commas() -> None:
    assert aims_of("ndcg@10, coverage@10,latency_ms") == AIMS
    assert [direction(aim) for aim in (*AIMS, "gini@5")] == ["maximize", "maximize", "minimize", "minimize"]
    for wrong in ("ndcg@10,ndcg@10", "ndcg@10,", "ndcg@10,coverage", "ndcg@10,diversity@10"):
        with pytest.raises(UserError, match="--metric"):
            aims_of(wrong)


def test_the_front_has_the_trials_that_no_other_beats() -> None:
    best, wide = trial("best", 0.3, 0.1, 5.0), trial("wide", 0.1, 0.3, 5.0)
    fast, beaten = trial("fast", 0.1, 0.1, 1.0), trial("beaten", 0.1, 0.1, 5.0)
    over = trial("over", 0.9, 0.9, 0.1, ("parameters < 5",))
    assert front([beaten, fast, over, wide, best], AIMS) == [best, wide, fast]


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1))
def test_every_trial_is_on_the_front_or_beaten_by_one_there(values: list[tuple[int, int, int]]) -> None:
    trials = [trial(str(place), *map(float, one)) for place, one in enumerate(values)]
    kept = front(trials, AIMS)
    for one in trials:
        a, b, c = values[int(one.id)]
        beaten = any(x >= a and y >= b and z <= c and (x, y, z) != (a, b, c) for x, y, z in values)
        assert (one in kept) is not beaten
