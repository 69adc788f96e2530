"""Tests of the assumptions of `tuning.ray_internals.chosen_ids` about Ray."""

from __future__ import annotations

from ray.tune.experiment import Experiment
from ray.tune.search import Searcher

from tuning.ray_internals.chosen_ids import ChosenIds


class Searches(Searcher):
    """One trial goes on, another one is new."""

    def __init__(self) -> None:
        super().__init__(metric="m", mode="max")
        self.waiting = ["0a1b2c3d"]

    def next_id(self) -> str | None:
        return self.waiting[0] if self.waiting else None

    def suggest(self, trial_id: str) -> dict:
        if self.waiting:
            self.waiting.remove(trial_id)
        return {"lr": 0.1, "restart": {"seen": 2}}


def test_a_trial_goes_on_under_its_id_and_others_get_new_ones(tmp_path) -> None:
    generator = ChosenIds(Searches())
    generator.add_configurations(Experiment("x", lambda config: None, num_samples=2, storage_path=str(tmp_path)))
    first, second = generator.next_trial(), generator.next_trial()
    assert first.trial_id == "0a1b2c3d" and first.config == {"lr": 0.1, "restart": {"seen": 2}}
    assert second.trial_id != first.trial_id and generator.is_finished()
