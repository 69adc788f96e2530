"""Whole sweeps over FAME's own settings train each backbone once, also after a kill -9 and in the next sweep."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from tests.fame.text.conftest import save_tiny_bert
from tests.tuning.sweeps import Sweeps, assert_agree, wait_until
from tuning.study.stage_uses import ATTRIBUTE, Uses, from_metrics, to_metrics
from tuning.study.trials import RAY_ID
from tuning.tracking.vocabulary import metric_name

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
    how = ("--space", "space.yaml", "--sampler", "grid", "--scheduler", "none")
    return (*data, *how, "--name", name, *more)


def stages(sweeps: Sweeps) -> list[str]:
    return [path.name for path in (sweeps.folder / "runs/stages").iterdir()]


def uses(sweeps: Sweeps, name: str) -> dict[str, Uses]:
    """By stage, the same in the study and in MLflow; each trial came to each of its stages once."""
    parent, runs = sweeps.runs(name)
    trials = sweeps.study(name)
    found: dict[str, Uses] = {}
    for trial in trials:
        reported = trial.user_attrs[ATTRIBUTE]
        logged = runs[trial.user_attrs[RAY_ID]].data.metrics
        assert {key: logged[metric_name(key)] for key in reported} == pytest.approx(reported)
        for stage, one in from_metrics(reported).items():
            assert one.computed + one.shared == 1
            found[stage] = found.get(stage, Uses()) + one
    expected = to_metrics(found)
    assert {key: parent.data.metrics[metric_name(key)] for key in expected} == pytest.approx(expected)
    return found


def test_sixteen_trials_train_a_backbone_for_each_number_of_heads_and_the_next_sweep_none(sweeps: Sweeps) -> None:
    done = sweeps.run(*command("a"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert " ".join(done.stdout.split()).count("backbone: at most 2 runs for 16 trials") == 1
    assert f"stages  backbone: {ALL} needed, {BACKBONES} computed, {ALL - BACKBONES} shared: " in done.stdout
    assert len(stages(sweeps)) == BACKBONES and all(name.endswith(".safetensors") for name in stages(sweeps))
    found = uses(sweeps, "a")["backbone"]
    assert (found.computed, found.shared) == (BACKBONES, ALL - BACKBONES)
    assert found.seconds_saved > 0
    assert_agree(sweeps, "a")  # every epoch of a backbone once for each trial

    again = sweeps.run(*command("b", "--trials", "2"))
    assert again.returncode == 0 and again.stderr == "", again.stderr
    found = uses(sweeps, "b")["backbone"]
    assert (found.computed, found.shared) == (0, 2)
    values = {tuple(sorted(t.params.items())): t.intermediate_values for t in sweeps.study("a")}
    for trial in sweeps.study("b"):
        assert trial.intermediate_values == values[tuple(sorted(trial.params.items()))]


def test_sixteen_trials_run_a_text_stage_for_each_of_its_settings_and_the_backbones_that_start_from_them(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    """Two temperatures and two numbers of heads are four text stages and four backbones, for 16 trials."""
    encoder = save_tiny_bert(tmp_path / "encoder")
    base = {**SPACE["base"], "text": {"epochs": 2, "batch_size": 64, "encoder": str(encoder)}}
    search = {key: SPACE["search"][key] for key in ("model.heads", "model.experts", "train.lr")}
    space = {"base": base, "search": {**search, "text.temperature": {"choices": [0.1, 0.3]}}}
    (sweeps.folder / "space.yaml").write_text(yaml.safe_dump(space))
    done = sweeps.run(*command("x"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for stage in ("text", "backbone"):
        assert f"{stage}: at most 4 runs for {ALL} trials" in " ".join(done.stdout.split())
        assert f"{stage}: {ALL} needed, 4 computed, {ALL - 4} shared: " in done.stdout
        found = uses(sweeps, "x")[stage]
        assert (found.computed, found.shared) == (4, ALL - 4)
        assert found.seconds_saved > 0
    assert sorted(name.partition("-")[0] for name in stages(sweeps)) == ["backbone"] * 4 + ["text"] * 4
    assert_agree(sweeps, "x")
    # The encoder read each text once for all of them.
    assert len(list((sweeps.folder / "cache/text").glob("*/*.safetensors"))) == 1
    assert (sweeps.folder / "runs/x/best/probe.svg").read_text().startswith("<svg")


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
    assert uses(sweeps, "k")["backbone"].computed <= len(heads)


def test_trials_share_under_asha_and_none_is_stopped_while_it_waits(sweeps: Sweeps) -> None:
    space = {"base": {**SPACE["base"], "backbone": {"epochs": 6}}, "search": {**SPACE["search"]}}
    space["search"].pop("model.heads")
    (sweeps.folder / "space.yaml").write_text(yaml.safe_dump(space))
    args = [{"none": "asha"}.get(word, word) for word in command("t")]
    done = sweeps.run(*args, "--trials", "3")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "t")
    found = uses(sweeps, "t")["backbone"]
    assert (found.computed, found.shared) == (1, 2)
    # They are the same in their backbones, so none can be worse there.
    assert all(len(trial.intermediate_values) == 7 for trial in sweeps.study("t"))
