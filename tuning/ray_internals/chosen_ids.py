"""Trials under ids that the search chooses, so that a trial of an earlier run of Tune can go on.

Assumptions: `SearchGenerator.create_trial_if_possible` makes the next trial, counts in `_counter`, and has its parser in
`_parser`. `_create_trial_from_spec` takes a `trial_id`.
"""

from __future__ import annotations

import copy
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec
from ray.tune.search import SearchGenerator


class ChosenIds(SearchGenerator):
    """Ray's own generator of trials. Its searcher may say with `next_id` which trial is next."""

    searcher: Any

    def create_trial_if_possible(self, experiment_spec: dict[str, Any]) -> Trial | None:
        trial_id = self.searcher.next_id()
        if trial_id is None:
            return super().create_trial_if_possible(experiment_spec)
        config = self.searcher.suggest(trial_id)
        if config is None:
            return None
        self._counter += 1
        spec = copy.deepcopy(experiment_spec) | {"config": config}
        return _create_trial_from_spec(
            spec, self._parser, experiment_tag=f"{self._counter}_{trial_id}", trial_id=trial_id
        )
