"""Sweeps of the model with a defect: which trials meet it, and what has to hold for all others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tests.chaos.faulty_model import FAULTS
from tests.chaos.harness import Undisturbed, command, exported, key
from tests.tuning.sweeps import SOURCES, Sweeps, assert_agree
from tuning.faults import Fault
from tuning.study.trials import RAY_ID

METRIC = "ndcg@10"


def letters(point: Mapping[str, Any]) -> str:
    return f"H{point['model.heads']} N{point['model.experts']}"


def from_worst(undisturbed: Undisturbed) -> list[str]:
    """Heads and experts of the trials, worst first, without those of the best."""
    by_result = sorted(undisturbed.curves, key=lambda point: max(undisturbed.curves[point].values()))
    found = dict.fromkeys(letters(json.loads(point)) for point in by_result)
    return [name for name in found if name != letters(undisturbed.best)]


def faulty(sweeps: Sweeps, name: str, faults: Mapping[str, Mapping[str, Any]], *more: str) -> tuple[str, ...]:
    """Arguments of the harness' sweep, in which the trials of these heads and experts meet a fault."""
    site = sweeps.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(
        "from fame.registry import models\nmodels._builtin_modules.append('tests.chaos.faulty_model')\n"
    )
    sweeps.environment["PYTHONPATH"] = os.pathsep.join([str(site), str(SOURCES)])
    sweeps.environment[FAULTS] = json.dumps(faults)
    return command(sweeps, name, *more)


def assert_others_sound(sweeps: Sweeps, name: str, undisturbed: Undisturbed) -> dict[str, list[FrozenTrial]]:
    """Every planned trial has its final state; those without a fault came to what they would have come to, and the
    best of them was exported. Returns the others by the kind of their fault."""
    trials, went_wrong = sweeps.study(name), {}
    assert [trial.params for trial in trials] == undisturbed.proposals
    for trial in trials:
        curve = undisturbed.curves[key(trial)]
        if (fault := Fault.of(trial.user_attrs)) is None:
            assert trial.state == TrialState.COMPLETE and trial.intermediate_values == curve
        else:
            assert trial.intermediate_values.items() <= curve.items()
            went_wrong.setdefault(fault.kind, []).append(trial)
    assert_agree(sweeps, name)
    best, metrics = (
        max((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: t.value),
        exported(sweeps, name),
    )
    assert metrics["trial"] == best.user_attrs[RAY_ID] and metrics["validation"][METRIC] == best.value
    _, runs = sweeps.runs(name)
    for kind, those in went_wrong.items():
        for trial in those:
            tags = runs[trial.user_attrs[RAY_ID]].data.tags
            assert (tags["failure"], tags["error"]) == (kind, Fault.of(trial.user_attrs).reason)
    return went_wrong
