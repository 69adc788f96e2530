"""Times and tables look the same everywhere."""

from __future__ import annotations

from tuning.pages.tables import clock


def test_a_clock_has_hours_only_if_there_are_any():
    assert [clock(0), clock(61), clock(3599.9), clock(3600), clock(90061)] == [
        "00:00", "01:01", "59:59", "1:00:00", "25:01:01"
    ]  # fmt: skip
