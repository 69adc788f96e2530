"""Writes the report now and then during a sweep."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import optuna
from ray.tune import Callback
from ray.tune.experiment import Trial

from fame.errors import UserError
from tuning.plan.sweep_plan import Plan
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.study.overview import trials_of
from tuning.study.sanity import sanity_of

EVERY_SECONDS = 30.0
"""Least seconds between two reports."""
SHARE = 0.02
"""Largest share of the driver's time that reports take."""


class ReportCallback(Callback):
    """Give it to `tune.RunConfig(callbacks=[...])`."""

    def __init__(self, plan: Plan, storage: Storage, search: StudySearch, statistics: Mapping[str, Any]) -> None:
        self.plan, self.storage, self.search, self.statistics = plan, storage, search, dict(statistics)

    def setup(self, *args: Any, **info: Any) -> None:
        """Begin here, not in `__init__`: Tune pickles callbacks, and clocks belong to the running process."""
        self.due = time.monotonic() + EVERY_SECONDS

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if time.monotonic() < self.due:
            return
        began = time.monotonic()
        # After a failure it is not tried again before the sweep's end.
        written = try_report(self.plan, self.storage, self.search.study, self.statistics)
        now = time.monotonic()
        self.due = now + max(EVERY_SECONDS, (now - began) / SHARE) if written else float("inf")


def try_report(
    plan: Plan, storage: Storage, study: optuna.Study, statistics: Mapping[str, Any], picture: bool = False
) -> bool:
    """Write the report, also its `picture` if asked for, and return whether it was written.

    A failure is printed, and the sweep goes on.
    """
    from tuning.report.page import write_report  # plotly takes a second to import

    try:
        write_report(plan, storage, study, statistics)
        if picture:
            from tuning.report.curves import draw_curves

            draw_curves(trials_of(study), sanity_of(study), plan.metric, storage.curves)
    except UserError as error:
        print(f"no report: {error}", file=sys.stderr)
        return False
    except Exception as error:  # a page about a sweep must not end the sweep, whatever is wrong with the page
        why = " ".join(str(error).split())
        print(f"no report: {type(error).__name__}: {why}; the sweep goes on, please report this", file=sys.stderr)
        return False
    return True
