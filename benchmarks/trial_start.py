"""Measures the start of a trial: `python -m benchmarks.trial_start [--trials N]`.

Trials of a tiny model in one slot on real Ray and Tune. The start is the time from the moment at which Tune asks for the
trial to its first report, without the training and evaluation of that epoch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.harness import Row, add_tiny, publish
from fame.datasets import load_dataset
from tuning.driver.tune_settings import quieten_tune
from tuning.machines import resources
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.trial.plan import TrialPlan
from tuning.trial.shared_dataset import share
from tuning.trial.slot import trainable

SETTINGS = (
    *("--model", "fame", "--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}"),
    *("--set", "model.dim=16", "--set", "backbone.epochs=0", "--epochs", "2"),
)


class Starts(tune.Callback):
    """Seconds of the starts, in the order of the trials."""

    def __init__(self) -> None:
        self.asked, self.seconds = time.monotonic(), []  # type: tuple[float, list[float]]

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if result["epoch"] == 1:
            trained = result["train_seconds"] + result["evaluate_seconds"]
            self.seconds.append(time.monotonic() - self.asked - trained)
        self.asked = time.monotonic()  # one trial at a time: the last report of one comes before the next one


def starts(plan: TrialPlan, trials: int) -> list[float]:
    """Run so many trials in one slot, and return the seconds of their starts."""
    callback = Starts()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            trainable(plan, None),
            param_space={"train.lr": tune.uniform(0.001, 0.01)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1, reuse_actors=True),
            run_config=tune.RunConfig(name="starts", storage_path=folder, callbacks=[callback], verbose=0),
        ).fit()
    return callback.seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trial_start", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8, metavar="N", help="trials after the first (default: 8)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="workers of a trial (default: 1)")
    add_tiny(parser)
    args = parser.parse_args()
    wanted = 1 if args.tiny else args.trials
    sweep = make_plan(parse(list(SETTINGS))[0])
    dataset = load_dataset(sweep.experiment.data)
    quieten_tune()
    with tempfile.TemporaryDirectory() as folder, resources.cluster(None, Path(folder) / "ray"):
        plan = TrialPlan(
            base=sweep.space.base,
            dataset=share(dataset, this_machine=True),
            folder=f"{folder}/trials",
            metric=sweep.options.metric,
            workers=args.workers,
            cpus_per_worker=1,
            gpus_per_worker=0,
        )
        first, *later = starts(plan, 1 + wanted)
    rows = [
        Row(what="the first trial of a slot", value=first, unit="s"),
        Row(what="a trial after another one, median", value=statistics.median(later), unit="s", at_most=1),
    ]
    about = {"trials": wanted, "workers": args.workers, "sweep": " ".join(SETTINGS)}
    publish("trial_start", rows, about, args.tiny)


if __name__ == "__main__":
    main()
