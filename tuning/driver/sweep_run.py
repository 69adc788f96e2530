"""The sweep's own run in MLflow: what it tells at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fame.config.tree import write_yaml
from fame.datasets import Dataset
from fame.runtime.provenance import git_commit, provenance
from fame.serving.histories import USERS
from tuning.driver import sweep_note
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.space.space import plain
from tuning.storage.layout import Storage
from tuning.study import sanity
from tuning.study.aims import UNTRAINED
from tuning.study.stage_uses import Uses, to_metrics
from tuning.study.trials import SweepTrial
from tuning.tracking.inputs import dataset_input
from tuning.tracking.projection import Projection
from tuning.tracking.vocabulary import exported_metrics

EARLIER_SPOOL = "mlflow-waiting*"
"""Files in which earlier versions kept unsent records. The study and the checkpoints have all of it."""


def open_projection(plan: Plan, storage: Storage, dataset: Dataset) -> Projection:
    """Open the sweep in MLflow."""
    options = plan.options
    settings = ("sampler", "scheduler", "metric", "seed", *(["limits"] if options.limits else []))
    projection = Projection.open(
        options.tracking_uri,
        plan.mlflow_experiment,
        storage.name,
        plan.metric,
        tags={
            "dataset": dataset.config.name,
            "fingerprint": dataset.fingerprint,
            "model": options.asked_model,
            **mlflow_tags(),
            **provenance(),
        },
        params={
            "model.name": options.asked_model,
            "trials": plan.planned or "as many as fit",
            "epochs": plan.epochs,
            **{key: getattr(options, key) for key in settings},
        },
        dataset=dataset_input(dataset),
        note=lambda place: sweep_note.at_start(plan, storage, place),
        numbers=[name for name in plan.shown_numbers if name not in UNTRAINED],
        searched=list(dict.fromkeys(map(plain, plan.space.search))),
        machine=options.address is None,  # on a cluster, most trials run elsewhere
        resume=options.resume,
    )
    for path in storage.local.glob(EARLIER_SPOOL):
        path.unlink()
    return projection


def mlflow_tags() -> dict[str, str]:
    """Return the user, the program and the commit, by the tags that MLflow shows them from."""
    from mlflow.tracking.context.git_context import GitRunContext
    from mlflow.tracking.context.registry import resolve_tags
    from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

    # MLflow would take the commit of whatever repository the started file lies in, such as an environment's.
    commit = {MLFLOW_GIT_COMMIT: found["commit"]} if (found := git_commit()) else {}
    ignored: list[Any] = [GitRunContext]  # MLflow's annotation asks for objects, its code for classes
    return resolve_tags(ignore=ignored) | commit


def end_run(
    projection: Projection,
    plan: Plan,
    storage: Storage,
    best: Best | None,
    interrupted: bool,
    uses: Mapping[str, Uses],
    lines: sanity.Sanity,
    front: Sequence[SweepTrial] = (),
) -> None:
    """End the sweep's run: the report, the exported model, its metrics, the uses of shared stages, the sanity lines, the
    Pareto front of several aims.
    """
    files: list[tuple[Path, str | None]] = [(p, None) for p in (storage.report, storage.curves) if p.exists()]
    metrics, tags = to_metrics(uses) | sanity.figures(lines, plan.metric), {}
    if best is not None:
        files += [(path, "best") for path in sorted(storage.best.iterdir()) if path.name != USERS]
        tags = {"best_trial": best.trial_id, "best_params": write_yaml(dict(best.point))}
        metrics |= exported_metrics(best.metrics)
    if front:
        tags["pareto_front"] = " ".join(trial.id for trial in front)
    projection.finish(
        "interrupted" if interrupted else "finished",
        tags=tags,
        metrics=metrics,
        files=files,
        front=[trial.id for trial in front],
        note=lambda place: sweep_note.at_end(plan, storage, place, best, interrupted, front),
    )
