"""The sweep's own run in MLflow: what it tells at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fame.config.tree import write_yaml
from fame.datasets import Dataset
from fame.datasets.sequences import PARTS
from fame.runtime.provenance import provenance
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.storage.layout import Storage
from tuning.study import sanity
from tuning.study.stage_uses import Uses, to_metrics
from tuning.tracking.projection import Projection

EARLIER_SPOOL = "mlflow-waiting*"
"""Files in which earlier versions kept unsent records. The study and the checkpoints have all of it."""


def open_projection(plan: Plan, storage: Storage, dataset: Dataset) -> Projection:
    """Open the sweep in MLflow, in the experiment named after the dataset."""
    options = plan.options
    settings = ("sampler", "scheduler", "trainer", "metric", "seed")
    projection = Projection.open(
        options.tracking_uri,
        dataset.config.name,
        storage.name,
        options.metric,
        tags={
            "dataset": dataset.config.name,
            "fingerprint": dataset.fingerprint,
            "model": options.model,
            **provenance(),
        },
        params={"trials": plan.trials, **{key: getattr(options, key) for key in settings}},
        resume=options.resume,
    )
    for path in storage.local.glob(EARLIER_SPOOL):
        path.unlink()
    return projection


def end_run(
    projection: Projection,
    storage: Storage,
    best: Best | None,
    interrupted: bool,
    uses: Mapping[str, Uses],
    lines: sanity.Sanity,
) -> None:
    """End the sweep's run: the report, the exported model, its metrics, the uses of shared stages, the sanity lines."""
    files: list[tuple[Path, str | None]] = [(storage.report, None)] if storage.report.exists() else []
    metrics, tags = to_metrics(uses) | sanity.to_metrics(lines), {}
    if best is not None:
        files += [(path, "best") for path in sorted(storage.best.iterdir())]
        tags = {"best_trial": best.trial_id, "best_params": write_yaml(dict(best.point))}
        found = {part: best.metrics[part] | best.metrics["lists"][part] for part in PARTS}
        metrics |= {f"{part}_{key}": value for part in PARTS for key, value in found[part].items()}
        if "seeds" in best.metrics:
            over_seeds = {f"{part}_{k}": v for part in PARTS for k, v in best.metrics["seeds"][part].items()}
            metrics |= {f"{key}_{what}": v[what] for key, v in over_seeds.items() for what in ("mean", "sd")}
    projection.finish("interrupted" if interrupted else "finished", tags=tags, metrics=metrics, files=files)
