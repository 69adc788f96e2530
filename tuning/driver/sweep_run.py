"""What a sweep tells MLflow of itself: its run at the beginning, and what came of it at the end."""

from __future__ import annotations

from collections.abc import Mapping

from fame.config_tree import write_yaml
from fame.datasets import Dataset
from fame.provenance import provenance
from fame.sequences import PARTS
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.storage.layout import Storage
from tuning.study import stage_uses
from tuning.tracking import Tracker


def open_tracker(plan: Plan, storage: Storage, dataset: Dataset) -> Tracker:
    """MLflow's parent run of the sweep, in the experiment named after the dataset."""
    options = plan.options
    tags = {"dataset": dataset.config.name, "fingerprint": dataset.fingerprint, "model": options.model, **provenance()}
    tracker = Tracker.open(
        options.tracking_uri, dataset.config.name, storage.name, tags, storage.mlflow_waiting, resume=options.resume
    )
    tracker.log_params(
        {
            "trials": plan.trials,
            "sampler": options.sampler,
            "scheduler": options.scheduler,
            "trainer": options.trainer,
            "metric": options.metric,
            "seed": options.seed,
        }
    )
    return tracker


def track_end(
    tracker: Tracker, storage: Storage, best: Best | None, interrupted: bool, uses: Mapping[str, stage_uses.Uses]
) -> None:
    """The report, the exported model's files and metrics on the parent run, and what sharing stages came to."""
    tags: dict[str, object] = {}
    tracker.log_metrics(stage_uses.to_metrics(uses))
    if storage.report.exists():
        tracker.log_file(storage.report)
    if best is not None:
        for path in sorted(storage.best.iterdir()):
            tracker.log_file(path, "best")
        tags = {"best_trial": best.trial_id, "best_params": write_yaml(dict(best.point))}
        tracker.log_metrics({f"{part}_{k}": v for part in PARTS for k, v in best.metrics[part].items()})
        if "seeds" in best.metrics:
            over_seeds = {f"{part}_{k}": v for part in PARTS for k, v in best.metrics["seeds"][part].items()}
            tracker.log_metrics({f"{key}_{what}": v[what] for key, v in over_seeds.items() for what in ("mean", "sd")})
    tracker.finish("interrupted" if interrupted else "finished", tags)
