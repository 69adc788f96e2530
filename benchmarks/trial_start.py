"""What the start of a trial costs, part by part: `python -m benchmarks.trial_start [--trials N]`.

Trials of a tiny model on real Ray and Tune, one at a time, by each trainer; the parts are the median
seconds between two stamps (`benchmarks.trial_probe`), from the moment Tune asks for the trial to its
first report.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks import trial_probe
from benchmarks.harness import Row, publish
from fame.datasets import load_dataset
from tuning.driver.tune_settings import quieten_tune
from tuning.machines import resources
from tuning.plan.options import parse
from tuning.plan.sweep_plan import make_plan
from tuning.trial import TRAINERS
from tuning.trial.plan import TrialPlan
from tuning.trial.torch_trainer import DRIVER_RESOURCES

SETTINGS = (
    *("--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}"),
    *("--set", "model.dim=16", "--set", "backbone.epochs=0", "--epochs", "2"),
)
PARTS = {
    "driver": "its own actor: process and imports",
    "process": "process of the one that trains, to its first import",
    "imports": "imports of its own",
    "handed over": "trial handed over",
    "dataset": "last trial cleared, dataset",
    "model": "model, optimiser and data built",
    "first step": "first step",
    "reported": "rest of the first epoch, checkpoint, report",
}


class FirstReports(tune.Callback):
    """The stamps of each trial's first report, with the time at which it came."""

    def __init__(self) -> None:
        self.stamps: dict[str, dict[str, float]] = {}

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.stamps.setdefault(trial.trial_id, {**result["stamps"], "reported": time.time()})


def starts(trainer: str, plan: TrialPlan, trials: int) -> list[dict[str, float]]:
    """Stamps of so many trials, in their order."""
    inline = trainer == "inline"
    probe = tune.with_parameters(trial_probe.InlineProbe if inline else trial_probe.torch_probe, plan=plan)
    callback = FirstReports()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(probe, plan.worker_resources if inline else DRIVER_RESOURCES),
            param_space={"asked": tune.sample_from(lambda spec: time.time())},
            tune_config=tune.TuneConfig(
                num_samples=trials, max_concurrent_trials=1, reuse_actors=TRAINERS[trainer].reuses
            ),
            run_config=tune.RunConfig(name="starts", storage_path=folder, callbacks=[callback], verbose=0),
        ).fit()
    return list(callback.stamps.values())


def part_rows(label: str, trials: list[dict[str, float]], at_most: float | None = None) -> list[Row]:
    """Medians of the parts, and of their sum."""
    names = [name for name in ("asked", *PARTS) if name in trials[0]]
    rows = []
    for before, name in itertools.pairwise(names):
        seconds = statistics.median(stamps[name] - stamps[before] for stamps in trials)
        rows.append(Row(what=f"{label}: {PARTS[name]}", value=seconds, unit="s"))
    total = statistics.median(stamps["reported"] - stamps["asked"] for stamps in trials)
    return [*rows, Row(what=f"{label}: all", value=total, unit="s", at_most=at_most)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trial_start", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=3, metavar="N", help="trials of each kind (default: 3)")
    wanted = parser.parse_args().trials
    sweep = make_plan(parse(list(SETTINGS))[0])
    dataset = load_dataset(sweep.experiment.data)
    quieten_tune()
    rows = []
    with tempfile.TemporaryDirectory() as folder, resources.cluster(None, Path(folder) / "ray", dashboard=True):
        plan = TrialPlan(
            base=sweep.space.base,
            dataset=ray.put(dataset),
            folder=folder,
            workers=1,
            cpus_per_worker=1,
            gpus_per_worker=0,
        )
        rows += part_rows("torch", starts("torch", plan, wanted))
        first = [starts("inline", plan, 1)[0] for _ in range(wanted)]
        rows += part_rows("inline, new process", first)
        rows += part_rows("inline, after another trial", starts("inline", plan, wanted + 1)[1:], at_most=1)
    publish("trial_start", rows, {"trials": wanted, "sweep": " ".join(SETTINGS)})


if __name__ == "__main__":
    main()
