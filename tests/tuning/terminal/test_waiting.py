"""A person learns what trials wait for, and not too often."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tuning.machines.resources import NodeResources, plan
from tuning.plan.options import Options
from tuning.terminal import waiting
from tuning.terminal.waiting import WaitingCallback

RUNNING, ENDED = (SimpleNamespace(is_finished=lambda over=over: over) for over in (False, True))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Ray's answers, and the clock."""
    one = SimpleNamespace(nodes=[], groups={}, free={}, now=1000.0)
    monkeypatch.setattr(waiting, "found", lambda: one.nodes)
    monkeypatch.setattr(waiting, "placement_group_table", lambda: one.groups)
    monkeypatch.setattr(waiting.ray, "available_resources", lambda: one.free)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: one.now)
    return one


def callback(**options: object) -> WaitingCallback:
    made = WaitingCallback(plan(Options(address="auto", **options), []))
    made.setup()
    return made


def lines(
    callback: WaitingCallback, cluster: SimpleNamespace, seconds: int, capsys: pytest.CaptureFixture, trial=RUNNING
) -> list[str]:
    """Return the lines that are printed within so many seconds."""
    for _ in range(seconds):
        cluster.now += 1
        callback.on_step_end(0, [trial])
    return capsys.readouterr().out.splitlines()


def test_what_a_cluster_lacks_is_said_once_a_minute_and_when_it_changes(cluster, capsys):
    one = callback(gpus_per_worker=1, cpus_per_worker=4)
    assert lines(one, cluster, 130, capsys) == ["waiting for 1 GPU + 4 CPUs: the cluster has 0 CPUs and 0 GPUs"] * 3
    cluster.nodes = [NodeResources(2, 0)]
    assert lines(one, cluster, 10, capsys) == ["waiting for 1 GPU + 4 CPUs: the cluster has 2 CPUs and 0 GPUs"]
    cluster.nodes = [NodeResources(2, 0), NodeResources(4, 1)]
    assert lines(one, cluster, 130, capsys) == []


def test_nothing_is_said_when_all_trials_have_ended(cluster, capsys):
    assert lines(callback(), cluster, 130, capsys, ENDED) == []


def test_not_every_ended_trial_is_asked(cluster, capsys):
    asked = SimpleNamespace(is_finished=lambda: pytest.fail("an ended trial was asked"))
    cluster.nodes, one = [NodeResources(2, 0)], callback()
    cluster.now += 10
    one.on_step_end(0, [asked, asked, RUNNING])
    assert capsys.readouterr().out == "" and one.looked == cluster.now


def test_a_trial_that_waits_for_what_others_use_is_said(cluster, capsys):
    def group(state: str, *bundles: dict[str, float]) -> dict[str, object]:
        return {"state": state, "bundles": dict(enumerate(bundles))}

    one = callback(workers=2)
    cluster.nodes, cluster.free = [NodeResources(8, 1)], {"CPU": 1.0, "GPU": 1.0}
    cluster.groups = {"ours": group("PENDING", {"CPU": 1.0}, {"CPU": 1.0})}
    assert lines(one, cluster, 10, capsys) == []  # the one before has just ended
    assert lines(one, cluster, 30, capsys) == [
        "waiting for 2 × (1 CPU): the cluster has 8 CPUs and 1 GPU, of which others use all but 1 CPU and 1 GPU"
    ]
    cluster.groups = {
        "ours": group("CREATED", {"CPU": 1.0}, {"CPU": 1.0}),
        "another sweep's": group("PENDING", {"CPU": 1.0}),
    }
    assert lines(one, cluster, 130, capsys) == []
