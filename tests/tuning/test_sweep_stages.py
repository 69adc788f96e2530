"""Whole sweeps over FAME's own settings train each backbone once, also after a kill -9 and in the next sweep."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from tests.tuning.sweeps import Sweeps, assert_agree, wait_until
from tuning.search import RAY_ID
from tuning.stages import ATTRIBUTE, Uses

pytestmark = pytest.mark.slow

SPACE = {
    "base": {
        "model": {"name": "fame", "dim": 16},
        "train": {"epochs": 1, "precision": "float32"},
        "backbone": {"epochs": 2},
    },
    "search": {
        "model.heads": {"choices": [1, 2]},
        "model.experts": {"choices": [1, 2]},
        "train.lr": {"choices": [0.001, 0.01]},
        "backbone.noise": {"choices": [0.0, 0.5]},
    },
}
ALL = 16
BACKBONES = 2
"""One for each number of heads: SASRec's attention has as many."""


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    made = Sweeps(tmp_path / "s")
    (made.folder / "space.yaml").write_text(yaml.safe_dump(SPACE))
    return made


def command(name: str, *more: str) -> tuple[str, ...]:
    data = ("--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}")
    how = ("--space", "space.yaml", "--sampler", "grid", "--scheduler", "none", "--trainer", "inline")
    return (*data, *how, "--name", name, *more)


def stages(sweeps: Sweeps) -> list[str]:
    return [path.name for path in (sweeps.folder / "runs/stages").iterdir()]


def uses(sweeps: Sweeps, name: str) -> Uses:
    parent, runs = sweeps.runs(name)
    of_trials = [Uses(**t.user_attrs[ATTRIBUTE]) for t in sweeps.study(name)]
    found = sum(of_trials, start=Uses())
    assert {key: parent.data.metrics[key] for key in vars(found)} == pytest.approx(vars(found))
    for trial, one in zip(sweeps.study(name), of_trials, strict=True):
        metrics = runs[trial.user_attrs[RAY_ID]].data.metrics
        assert {key: metrics[key] for key in vars(one)} == pytest.approx(vars(one))
        assert one.stage_computed + one.stage_shared == 1
    return found


def test_sixteen_trials_train_a_backbone_for_each_number_of_heads_and_the_next_sweep_none(sweeps: Sweeps) -> None:
    done = sweeps.run(*command("a"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert " ".join(done.stdout.split()).count("backbone: at most 2 runs for 16 trials") == 1
    assert f"stages  {BACKBONES} computed, {ALL - BACKBONES} shared: " in done.stdout
    assert len(stages(sweeps)) == BACKBONES and all(name.endswith(".safetensors") for name in stages(sweeps))
    found = uses(sweeps, "a")
    assert (found.stage_computed, found.stage_shared) == (BACKBONES, ALL - BACKBONES)
    assert found.stage_seconds_saved > 0
    assert_agree(sweeps, "a")  # every epoch of a backbone once for each trial

    again = sweeps.run(*command("b", "--trials", "2"))
    assert again.returncode == 0 and again.stderr == "", again.stderr
    found = uses(sweeps, "b")
    assert (found.stage_computed, found.stage_shared) == (0, 2)
    values = {tuple(sorted(t.params.items())): t.intermediate_values for t in sweeps.study("a")}
    for trial in sweeps.study("b"):
        assert trial.intermediate_values == values[tuple(sorted(trial.params.items()))]


def test_a_sweep_killed_in_a_backbone_resumes_and_trains_each_once(sweeps: Sweeps) -> None:
    args = command("k", "--trials", "4")
    killed = sweeps.stop(sweeps.start(*args), signal.SIGKILL, lambda: sweeps.epochs("k"))
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert [trial.state for trial in sweeps.study("k")] == [TrialState.COMPLETE] * 4
    assert_agree(sweeps, "k")
    heads = {trial.params["model.heads"] for trial in sweeps.study("k")}
    assert len(stages(sweeps)) == len(heads)
    assert uses(sweeps, "k").stage_computed <= len(heads)


def test_trials_of_torch_trainers_share_under_asha_and_none_is_stopped_while_it_waits(sweeps: Sweeps) -> None:
    space = {"base": {**SPACE["base"], "backbone": {"epochs": 6}}, "search": {**SPACE["search"]}}
    space["search"].pop("model.heads")
    (sweeps.folder / "space.yaml").write_text(yaml.safe_dump(space))
    args = [
        word if word not in ("none", "inline") else {"none": "asha", "inline": "torch"}[word] for word in command("t")
    ]
    done = sweeps.run(*args, "--trials", "3")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "t")
    found = uses(sweeps, "t")
    assert (found.stage_computed, found.stage_shared) == (1, 2)
    # They are the same in their backbones, so none can be worse there.
    assert all(len(trial.intermediate_values) == 7 for trial in sweeps.study("t"))
