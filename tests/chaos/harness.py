"""Sweeps that something happens to: what has to hold afterwards, and what it cost.

A fault's test runs a sweep of `command`, does harm while it runs, lets it heal or resumes it, and then calls
`assert_sound`, which compares it with the undisturbed sweep of the same seed, and `record`, which notes
what was lost for the table of docs/RELIABILITY.md.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from optuna.trial import FrozenTrial, TrialState

from fame.artifacts.checkpoint import load_checkpoint
from fame.runtime.provenance import provenance
from fame.training.fit import CHECKPOINT
from tests.tuning.sweeps import Sweeps, assert_agree
from tuning.study.trials import RAY_ID

TRIALS = 6
EPOCHS = 4
SPACE = {
    "base": {
        "model": {"name": "fame", "dim": 16, "blocks": 1},
        "train": {"epochs": EPOCHS, "patience": 0, "precision": "float32"},
        "backbone": {"epochs": 0},
    },
    "search": {
        "model.heads": {"choices": [1, 2, 4]},
        "model.experts": {"choices": [1, 2, 4]},
        "train.lr": {"low": 0.001, "high": 0.01, "log": True},
    },
}
DATA = ("--dataset", "synthetic", "--set", "data.size={users: 600, items: 200}")
RESULTS = "FAME_CHAOS_RESULTS"
"""Variable with the file that `record` writes to; unset, nothing is written."""


def command(sweeps: Sweeps, name: str, *more: str) -> tuple[str, ...]:
    """Arguments of a sweep of `TRIALS` trials. No trial depends on how another one went, so a fault that only
    changes the order of results changes no result; options in `more` count over these."""
    path = sweeps.folder / "space.yaml"
    if not path.exists():
        path.write_text(yaml.safe_dump(SPACE), encoding="utf-8")
    how = ("--sampler", "random", "--scheduler", "none", "--trials", str(TRIALS))
    return (*DATA, "--space", str(path), *how, "--name", name, *more)


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The result of an undisturbed sweep."""

    proposals: list[dict[str, object]]
    """Points in the order they were proposed."""
    curves: dict[str, dict[int, float]]
    """Validation metric after each epoch, by the point as text."""
    best: dict[str, object]
    """Point of the exported trial."""
    validation: dict[str, float]
    test: dict[str, float]

    @classmethod
    def of(cls, sweeps: Sweeps, name: str) -> Undisturbed:
        trials, metrics = sweeps.study(name), exported(sweeps, name)
        (best,) = [trial.params for trial in trials if trial.user_attrs[RAY_ID] == metrics["trial"]]
        return cls(
            proposals=[trial.params for trial in trials],
            curves={key(trial): trial.intermediate_values for trial in trials},
            best=best,
            validation=metrics["validation"],
            test=metrics["test"],
        )


def key(trial: FrozenTrial) -> str:
    return json.dumps(trial.params, sort_keys=True)


def exported(sweeps: Sweeps, name: str) -> dict:
    """The `metrics.json` of a sweep's best model."""
    return json.loads((sweeps.folder / "runs" / name / "best/metrics.json").read_text(encoding="utf-8"))


def assert_sound(sweeps: Sweeps, name: str, undisturbed: Undisturbed) -> Counter[str]:
    """Nothing finished was lost, done twice or tracked twice, and the sweep came to what it would have come to.

    Returns how many epochs each trial did again (a trial that lost none is missing).
    """
    trials = sweeps.study(name)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * len(undisturbed.proposals)
    assert {key(trial): trial.intermediate_values for trial in trials} == undisturbed.curves
    assert_agree(sweeps, name)
    found = Undisturbed.of(sweeps, name)
    assert (found.best, found.validation, found.test) == (undisturbed.best, undisturbed.validation, undisturbed.test)
    again = epochs_again(sweeps, name)
    assert all(count <= 1 for count in again.values()), f"more than a checkpoint interval was lost: {again}"
    return again


def epochs_again(sweeps: Sweeps, name: str) -> Counter[str]:
    """Epochs that were trained a second time, by trial.

    MLflow keeps what an epoch reported first, the checkpoint what was trained last: where their seconds differ,
    the epoch was lost and trained again.
    """
    _, runs = sweeps.runs(name)
    again: Counter[str] = Counter()
    for trial in sweeps.study(name):
        id = trial.user_attrs[RAY_ID]
        points = sweeps.client().get_metric_history(runs[id].info.run_id, "time/train_seconds")
        first = {point.step: point.value for point in points}
        checkpoints = sorted((sweeps.folder / "runs" / name / "trials" / id).glob(f"*/{CHECKPOINT}"))
        _, header = load_checkpoint(checkpoints[-1])
        again[id] += sum(first[report["epoch"]] != report["train_seconds"] for report in header["history"])
    return +again


def record(fault: str, heals: str, again: Counter[str], lost: str = "nothing") -> None:
    """Note a fault for the table: how the sweep came back (`by itself`, `--resume`, …), what was trained again."""
    if not (path := os.environ.get(RESULTS)):
        return
    file = Path(path)
    faults = json.loads(file.read_text(encoding="utf-8"))["faults"] if file.exists() else {}
    faults[fault] = asdict(Fault(heals=heals, epochs_again=again.total(), trials_again=len(again), lost=lost))
    result = {"benchmark": "reliability", "faults": faults, **provenance()}
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A line of the table."""

    heals: str
    epochs_again: int
    """Epochs that were trained a second time, over all trials."""
    trials_again: int
    """Trials that had such an epoch."""
    lost: str
