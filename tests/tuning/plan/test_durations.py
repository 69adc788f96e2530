from __future__ import annotations

import pytest

from fame.errors import UserError
from tuning.plan.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1d 2H", 93_600)]
)
def test_a_duration_has_its_units(text, seconds):
    assert seconds_of(text, "--time-budget") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "2 weeks", "30m1h", "0s"])
def test_another_text_is_one_line(text):
    with pytest.raises(UserError, match=r"--time-budget .*must be a duration with its unit"):
        seconds_of(text, "--time-budget")
