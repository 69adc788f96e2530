"""Tests of the assumptions of `tuning.ray_internals.hyperband` about Ray. `schedulers/test_hyperband.py` has whole runs."""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.schedulers import HyperBandScheduler

from tuning.ray_internals.hyperband import CorrectedHyperBand


def test_ray_has_what_is_corrected() -> None:
    ray_own = HyperBandScheduler("epoch", "metric", "max", max_t=9)
    assert isinstance(ray_own._s_max_1, int) and ray_own._trial_info == {}
    bracket = ray_own._create_bracket(0)
    assert hasattr(bracket, "is_being_processed") and hasattr(bracket, "cleanup_trial")
    assert callable(ray_own._process_bracket)


def test_the_first_bracket_stops_most_and_none_begins_at_epoch_0() -> None:
    scheduler = CorrectedHyperBand("metric", 8)
    rungs = [scheduler._create_bracket(s)._r0 for s in range(scheduler._s_max_1)]
    assert rungs == sorted(rungs) and rungs[0] == 1


def test_a_trial_that_has_finished_joins_no_bracket() -> None:
    scheduler = CorrectedHyperBand("metric", 8)
    scheduler.on_trial_add(None, SimpleNamespace(is_finished=lambda: True))
    assert scheduler._trial_info == {}
