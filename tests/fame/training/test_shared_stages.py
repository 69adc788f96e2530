"""A stage that was taken over is a stage that was computed: reports, weights, and what comes after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fame.artifacts import LocalFolder, claims
from fame.config import Experiment
from fame.runtime.parallel import Workers
from fame.training.fit import CHECKPOINT, fit, read_trained
from fame.training.loop import EpochReport, StageRun
from fame.training.shared_stages import read_uses
from fame.training.stages import BACKBONE
from tests.fame.helpers import CPU, experiment, timeless
from tests.fame.training.runs import assert_same_training

ROOT = Path(__file__).parents[2]
TWO_STAGES: dict[str, Any] = {"train": {"epochs": 2}, "backbone": {"epochs": 3, "lr": 0.02}}
SETTINGS = experiment(**TWO_STAGES)
OTHER = experiment(**{**TWO_STAGES, "model": {"experts": 2}, "train": {"epochs": 1, "lr": 0.003}})
ONE = Workers(device=CPU)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(claims, "POLL_SECONDS", 0.02)


@pytest.fixture
def shared(tmp_path) -> LocalFolder:
    return LocalFolder(tmp_path / "stages")


@pytest.fixture
def start(tiny, tmp_path):
    """`fit` on the tiny data in a folder of this name."""

    def call(name: str, settings: Experiment = SETTINGS, shared: LocalFolder | None = None) -> Iterator[EpochReport]:
        return fit(settings, tiny, tmp_path / name, ONE, None, shared)

    return call


@pytest.fixture
def trained_stages(monkeypatch) -> list[str]:
    """Stages of which epochs are computed, in order."""
    names, epochs = [], StageRun.epochs
    monkeypatch.setattr(
        StageRun, "epochs", lambda run, *a, **k: (names.append(run.stage.name), epochs(run, *a, **k))[1]
    )
    return names


# ---- The key.


# ---- Taken over is computed.


def test_a_training_that_takes_the_backbone_over_is_one_that_computed_it(start, shared, tmp_path, trained_stages):
    alone = [timeless(report) for report in start("alone")]
    for name in ("first", "second"):
        assert [timeless(report) for report in start(name, shared=shared)] == alone
        assert_same_training(tmp_path / name, tmp_path / "alone")
    assert trained_stages == [BACKBONE, "fame", BACKBONE, "fame", "fame"]
    (computed,), (taken,) = read_uses(tmp_path / "first"), read_uses(tmp_path / "second")
    assert (computed.shared, taken.shared) == (False, True)
    assert computed.seconds == taken.seconds > 0
    assert read_uses(tmp_path / "alone") == []
    # The backbone's times are those of who computed it.
    first, second = (read_trained(tmp_path / name).history for name in ("first", "second"))
    assert first[:3] == second[:3]


def test_other_fine_tuning_settings_start_from_the_same_backbone(start, shared, tmp_path, trained_stages):
    list(start("alone", OTHER))
    list(start("first", shared=shared))
    del trained_stages[:]
    list(start("other", OTHER, shared))
    assert trained_stages == ["fame"]
    assert_same_training(tmp_path / "other", tmp_path / "alone")


def test_other_backbones_are_not_shared(start, shared, trained_stages):
    for heads in (1, 2):
        next(start(str(heads), experiment(**TWO_STAGES, model={"heads": heads}), shared))
    assert trained_stages == [BACKBONE, BACKBONE]


def test_without_a_backbone_nothing_is_shared(start, shared, tmp_path):
    list(start("one", experiment(train={"epochs": 1}), shared))
    assert shared.names("") == [] and read_uses(tmp_path / "one") == []


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4])
def test_a_training_that_took_over_can_crash_after_any_report(stopped_after, start, shared, tmp_path):
    list(start("first", shared=shared))
    crashed = start("crashed", shared=shared)
    seen = [next(crashed) for _ in range(stopped_after)]
    del crashed
    rest = list(start("crashed", shared=shared))
    # The state had all epochs of the backbone from its first report on.
    assert [report.epoch for report in rest] == list(range(max(3, len(seen)) + 1, 6))
    assert_same_training(tmp_path / "crashed", tmp_path / "first")
    assert [use.shared for use in read_uses(tmp_path / "crashed")] == [True]


def test_a_training_stopped_in_the_backbone_leaves_it_to_others_and_takes_it_over_later(
    start, shared, tmp_path, trained_stages
):
    stopped = start("stopped", shared=shared)
    next(stopped)
    stopped.close()  # as the scheduler does
    assert shared.names("") == []
    list(start("first", shared=shared))
    del trained_stages[:]
    assert [report.epoch for report in start("stopped", shared=shared)] == [2, 3, 4, 5]
    assert trained_stages == ["fame"]
    assert_same_training(tmp_path / "stopped", tmp_path / "first")


def test_a_damaged_backbone_is_computed_again(start, shared, tmp_path, trained_stages, caplog):
    list(start("first", shared=shared))
    (name,) = shared.names("")
    content = (shared.path / name).read_bytes()
    (shared.path / name).write_bytes(content[: len(content) // 2])
    list(start("second", shared=shared))
    assert trained_stages == [BACKBONE, "fame", BACKBONE, "fame"]
    assert len(caplog.messages) == 1 and f"{name} is damaged" in caplog.messages[0]
    assert_same_training(tmp_path / "second", tmp_path / "first")
    assert [(use.shared, use.rebuilt) for use in read_uses(tmp_path / "second")] == [(False, True)]
    list(start("third", shared=shared))
    assert trained_stages[4:] == ["fame"]


# ---- Killed owners.

OWNER = """
import sys
from pathlib import Path
from fame.artifacts import LocalFolder
from fame.training.fit import fit
from tests.conftest import CPU, Workers, cyclic_sequences
from tests.fame.training.test_shared_stages import SETTINGS, ONE
tiny = cyclic_sequences(users=40, item_count=30, longest=14, seed=0)
folder = Path(sys.argv[1])

def on_step(done, of):
    if done == 2 and (folder / "checkpoint.safetensors").exists():
        print("in its second epoch", flush=True)
        sys.stdin.read()

list(fit(SETTINGS, tiny, folder, ONE, on_step, LocalFolder(Path(sys.argv[2]))))
"""


def test_kill_9_of_the_owner_lets_another_one_compute(start, shared, tmp_path, trained_stages):
    command = [sys.executable, "-c", OWNER, str(tmp_path / "killed"), str(shared.path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout.readline() == "in its second epoch\n", owner.communicate()[1]
        assert len(shared.names("backbone-")) == 1  # its lease
        owner.send_signal(signal.SIGKILL)
    finally:
        owner.kill()
        owner.communicate()
    list(start("next", shared=shared))
    assert trained_stages == [BACKBONE, "fame"]
    (name,) = shared.names("")
    assert name.endswith(".safetensors")
    # The killed one, started again from its checkpoint, finds what it was about to compute.
    assert read_trained(tmp_path / "killed").history[-1].epoch == 1
    list(start("killed", shared=shared))
    assert trained_stages == [BACKBONE, "fame", "fame"]
    assert_same_training(tmp_path / "killed", tmp_path / "next")


def test_settings_changed_on_the_way_are_not_shared(start, shared, tmp_path):
    from fame.training.adopt import adopt

    first = start("first")
    next(first)
    first.close()
    changed = experiment(**{**TWO_STAGES, "train": {"epochs": 2, "weight_decay": 0.1}})
    adopt(tmp_path / "first", tmp_path / "second", changed, "first")
    list(start("second", changed, shared))
    assert shared.names("") == []
    assert CHECKPOINT in [path.name for path in (tmp_path / "second").iterdir()]
