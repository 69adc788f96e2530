"""Checkpoints that a file system has damaged: the previous good one is used, and said so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.training.fit import CHECKPOINT
from tests.tuning.trial.steps import SMALL, actor, alone, stable, steps
from tuning.faults import MENDED
from tuning.trial.checkpoints import Checkpoints, Kept, mend, read_trial
from tuning.trial.plan import TrialPlan

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train
SNAPSHOT = "checkpoint_manager_snapshot.json"


@pytest.fixture
def plan(make_plan: Callable[..., TrialPlan]) -> TrialPlan:
    """After a trial `a` that was killed after two of three epochs."""
    plan = make_plan()
    trial = actor(plan, "a", SMALL)
    trial.step()
    trial.step()
    return plan


def run_folder(plan: TrialPlan) -> Path:
    return Path(plan.folder, "a")


def checkpoints(plan: TrialPlan) -> list[Path]:
    return sorted(path for path in run_folder(plan).iterdir() if path.is_dir())


def truncate(folder: Path) -> Path:
    file = folder / CHECKPOINT
    os.truncate(file, file.stat().st_size // 2)
    return file


def test_nothing_is_touched_where_nothing_is_wrong(plan: TrialPlan) -> None:
    before = {path: path.stat().st_mtime_ns for path in run_folder(plan).rglob("*")}
    assert mend(plan.folder, "a", 0) is None and mend(plan.folder, "new", 0) is None
    assert {path: path.stat().st_mtime_ns for path in run_folder(plan).rglob("*")} == before
    assert len(checkpoints(plan)) == 2


def test_a_truncated_checkpoint_costs_an_epoch_and_is_named_once(plan: TrialPlan, tmp_path: Path) -> None:
    file = truncate(checkpoints(plan)[-1])
    first, *rest = steps(actor(plan, "a", SMALL))
    said = first.pop(MENDED)
    assert said.startswith(str(file)) and said.endswith("; it goes on from epoch 1")
    assert [first, *rest] == alone(plan, SMALL, tmp_path / "alone")
    assert not file.exists() and mend(plan.folder, "a", 0) is None


@pytest.mark.parametrize("all_damaged", [False, True])
def test_a_list_that_is_cut_off_is_written_anew(plan: TrialPlan, tmp_path: Path, all_damaged: bool) -> None:
    """As a full disk leaves it; Ray Train would give up the trial."""
    if all_damaged:
        for folder in checkpoints(plan):
            truncate(folder)
    os.truncate(run_folder(plan) / SNAPSHOT, 10)
    first, *rest = steps(actor(plan, "a", SMALL))
    assert first.pop(MENDED).endswith("; it goes on from the beginning" if all_damaged else "; it goes on from epoch 2")
    assert [first, *rest] == alone(plan, SMALL, tmp_path / "alone")


def test_a_listed_checkpoint_that_is_gone_is_done_without(plan: TrialPlan, tmp_path: Path) -> None:
    shutil.rmtree(checkpoints(plan)[-1])
    first, *_ = steps(actor(plan, "a", SMALL))
    assert "no such checkpoint" in first[MENDED]


def test_what_was_not_listed_yet_is_removed(plan: TrialPlan) -> None:
    half = run_folder(plan) / "checkpoint_2999-01-01_00-00-00.000000"
    half.mkdir()
    (half / CHECKPOINT).write_bytes(b"half")
    assert mend(plan.folder, "a", 0) is None
    assert not half.exists() and len(checkpoints(plan)) == 2


def test_the_export_takes_the_checkpoint_before(plan: TrialPlan, capsys: pytest.CaptureFixture[str]) -> None:
    older, newest = checkpoints(plan)
    file = truncate(newest)
    assert [report.epoch for report in read_trial(plan.folder, "a").history] == [1]
    said = capsys.readouterr().out
    assert said.startswith(f"trial a: {file} is not a checkpoint") and said.endswith(f"; {older.name} is used\n")
    truncate(older)
    assert read_trial(plan.folder, "a") is None
    assert capsys.readouterr().out.endswith("; it is skipped\n")
    assert read_trial(plan.folder, "unknown") is None


def test_milestones_stay_milestones(make_plan: Callable[..., TrialPlan]) -> None:
    plan = make_plan(interval=2)
    trial = actor(plan, "a", SMALL)
    for _ in range(3):
        trial.step()
    truncate(run_folder(plan) / Kept(plan.folder, "a").listed()[0])
    assert "goes on from epoch 2" in mend(plan.folder, "a", 2)
    state = json.loads((run_folder(plan) / SNAPSHOT).read_text())
    kept = {one["checkpoint_dir_name"]: one["metrics"]["milestone"] for one in state["checkpoint_results"]}
    assert kept == {name: name.startswith("epoch-") for name in kept} and kept["epoch-2-0"]
    assert Checkpoints(plan.folder, "a", 2).newest.path.endswith("epoch-2-0")


def test_the_same_from_a_uri(plan: TrialPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncate(checkpoints(plan)[-1])
    uri = f"file://{plan.folder}"
    assert read_trial(uri, "a").history[-1].epoch == 1
    assert "goes on from epoch 1" in mend(uri, "a", 0)
    assert [stable(result)["epoch"] for result in steps(actor(plan, "a", SMALL))] == [1, 2, 3]
