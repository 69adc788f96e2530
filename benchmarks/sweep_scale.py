"""A sweep of a thousand trials on simulated nodes: `python -m benchmarks.sweep_scale [--trials N]`.

The trials compute nothing; everything around them is what a sweep has: the driver's loop, the search, ASHA, the
journal, MLflow. Its nodes are raylets on this machine with CPUs that are numbers. Measured is the driver process:
its memory, and the CPU time (all threads) that it spends on a result, over the first and the last 100 trials.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ray import tune
from ray.cluster_utils import Cluster
from ray.tune.experiment import Trial

from benchmarks.harness import Row, add_tiny, publish
from fame.datasets import load_dataset
from tuning.driver import run
from tuning.driver.trials import Trials
from tuning.machines import resources
from tuning.machines.local_ray import session_folder
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.report.lean import import_plots
from tuning.storage.layout import Storage

EDGE = 100
"""Trials at the beginning, and at the end, that are compared."""
FLAT = 1.5
"""Most that the last ones may cost, as a multiple of the first."""
START_SECONDS = 60.0
"""How long a slot waits before its first trial. Tune gives the waiting trials to slots that are free, and drops the processes
that it was starting for them. So slots whose trials end sooner than a process starts keep others from starting at all."""
METRICS = [f"{name}@{k}" for name in ("hr", "ndcg") for k in (5, 10, 20)]


class FakeTrial(tune.Trainable):
    """Reports, without any training, what a trial reports: the metrics climb to a height that the point decides."""

    def setup(self, config: dict[str, Any], epochs: int, start_seconds: float) -> None:
        self.epochs = epochs
        self.reset_config(config)
        time.sleep(start_seconds)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.height = random.Random(repr(sorted(new_config.items()))).uniform(0.01, 0.1)
        self.epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        self.epoch += 1
        value = self.height * (1 - math.exp(-self.epoch / 3))
        values = dict.fromkeys(METRICS, value) | {"best_ndcg@10": value, "best_epoch": self.epoch, "loss": 1 / value}
        times = {"train_seconds": 1.0, "evaluate_seconds": 0.1, "items_per_second": 1e4, "padding": 0.1}
        ends = self.epoch == self.epochs
        return {**values, **times, "epoch": self.epoch, "stage": "model", "finished": ends, "done": ends}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Tune asks for one at the end; there is nothing to keep."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The driver when a trial has ended."""

    results: int
    wall: float
    cpu: float
    memory: int
    """Bytes resident."""

    @classmethod
    def now(cls, results: int) -> Mark:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE")
        return cls(results=results, wall=time.perf_counter(), cpu=time.process_time(), memory=memory)


class Meter(tune.Callback):
    """A mark for each trial that has ended."""

    def setup(self, **info: Any) -> None:
        self.results, self.marks = 0, [Mark.now(0)]

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info: Any) -> None:
        self.results += 1

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.marks.append(Mark.now(self.results))


class MeteredTrials(Trials):
    """The sweep's trials, which only pretend to train, and a meter."""

    meter = Meter()
    start_seconds: ClassVar[float]
    """How long a slot waits before its first trial."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        trainable = tune.with_parameters(FakeTrial, epochs=self.plan.epochs, start_seconds=self.start_seconds)
        self.trainable = tune.with_resources(trainable, {"CPU": 1})

    def _tuner(self, *extra: tune.Callback) -> tune.Tuner:
        return super()._tuner(*extra, self.meter)


def sweep(arguments: list[str], address: str) -> tuple[list[Mark], float]:
    """Run the sweep; returns its marks, and how long MLflow's writes took at the end."""
    import_plots()  # as the command does
    plan = make_plan(parse([*arguments, "--address", address])[0])
    storage = Storage.of(plan.options.storage, plan.options.name)
    dataset = load_dataset(plan.experiment.data)
    with resources.cluster(address, session_folder(storage)):
        share = resources.plan(plan.options, resources.found())
        projection = run.open_projection(plan, storage, dataset)
        storage.create(plan.to_record(dataset.fingerprint))
        search = run.open_study(plan, storage, share)
        trials = MeteredTrials(plan, storage, dataset, share, projection, search)
        assert not trials.run(resumed=False)
        ended = Counter(trial.state for trial in search.record.trials())
        assert set(ended) == {"finished", "stopped"}, ended
        began = time.perf_counter()
        assert projection.finish("finished")
    return trials.meter.marks, time.perf_counter() - began


def rows(marks: list[Mark], writing: float, count: int) -> list[Row]:
    first, last = (marks[0], marks[count]), (marks[-count - 1], marks[-1])

    def each(what: str, edge: tuple[Mark, Mark]) -> float:
        begin, end = edge
        return (getattr(end, what) - getattr(begin, what)) / (end.results - begin.results) * 1000

    return [
        Row(what=f"CPU time of the driver per result, first {count} trials", value=each("cpu", first), unit="ms"),
        Row(what=f"CPU time of the driver per result, last {count} trials", value=each("cpu", last), unit="ms"),
        Row(what="the last ÷ the first", value=each("cpu", last) / each("cpu", first), at_most=FLAT),
        Row(what=f"wall time per result, first {count} trials", value=each("wall", first), unit="ms"),
        Row(what=f"wall time per result, last {count} trials", value=each("wall", last), unit="ms"),
        Row(what=f"memory of the driver after {count} trials", value=marks[count].memory / 2**20, unit="MiB"),
        Row(what="memory of the driver at the end", value=marks[-1].memory / 2**20, unit="MiB"),
        Row(what="the end ÷ the beginning", value=marks[-1].memory / marks[count].memory, at_most=FLAT),
        Row(what="results", value=marks[-1].results),
        Row(what="the sweep", value=marks[-1].wall - marks[0].wall, unit="s"),
        Row(what="MLflow's rest, after the last trial", value=writing, unit="s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000, metavar="N", help="trials (default: 1000)")
    parser.add_argument("--epochs", type=int, default=8, metavar="N", help="most epochs of a trial (default: 8)")
    parser.add_argument("--nodes", type=int, default=3, metavar="N", help="simulated nodes (default: 3)")
    parser.add_argument("--slots", type=int, default=2, metavar="N", help="trials at a time on each (default: 2)")
    parser.add_argument("--sampler", default="tpe", help="how Optuna proposes (default: tpe)")
    add_tiny(parser)
    args = parser.parse_args()
    edge = EDGE
    if args.tiny:
        edge, args.trials, args.epochs, args.nodes = 2, 4, 2, 1
    MeteredTrials.start_seconds = 0.0 if args.tiny else START_SECONDS
    if args.trials < 2 * edge:
        parser.error(f"--trials {args.trials}: the first and the last {edge} are compared; give at least {2 * edge}")
    with tempfile.TemporaryDirectory(prefix="fame-scale-") as folder:
        os.environ["FAME_DATA"] = f"{folder}/data"
        arguments = [
            *("--model", "fame", "--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}"),
            *("--set", "backbone.epochs=0", "--epochs", str(args.epochs), "--trials", str(args.trials)),
            *("--sampler", args.sampler, "--storage", f"{folder}/runs", "--name", "scale"),
            *("--tracking-uri", f"sqlite:///{folder}/mlflow.db"),
        ]
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(args.nodes):
                cluster.add_node(num_cpus=args.slots)
            marks, writing = sweep(arguments, cluster.address)
        finally:
            cluster.shutdown()
    settings = {key: getattr(args, key) for key in ("trials", "epochs", "nodes", "slots", "sampler")}
    publish("sweep_scale", rows(marks, writing, edge), settings, args.tiny)


if __name__ == "__main__":
    main()
