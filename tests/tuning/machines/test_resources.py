"""How many trials fit on the CPUs and GPUs that there are."""

from __future__ import annotations

import pickle
import socket

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fame.errors import UserError
from tuning.machines import resources
from tuning.machines.resources import NodeResources, Room, connect, plan, total
from tuning.plan.options import Options


@pytest.mark.parametrize(
    ("options", "cpus", "gpus", "concurrent"),
    [
        ({}, 2, 0, 2),
        ({}, 1, 0, 1),
        ({"workers": 2}, 2, 0, 1),
        ({"workers": 2}, 5, 0, 2),
        ({"cpus_per_worker": 3}, 8, 0, 2),
        ({"concurrent": 1}, 8, 0, 1),
        ({}, 8, 1, 1),  # a GPU for each if there are any
        ({}, 8, 4, 4),
        ({}, 2, 4, 2),
        ({"gpus_per_worker": 0}, 8, 1, 8),
        ({"gpus_per_worker": 0.25}, 8, 1, 4),
        ({"gpus_per_worker": 0.25}, 16, 2, 8),
        ({"gpus_per_worker": 0.25}, 3, 1, 3),
        ({"gpus_per_worker": 0.25, "workers": 2}, 16, 1, 2),
        ({"gpus_per_worker": 0.25, "workers": 2}, 16, 2, 4),
        ({"gpus_per_worker": 0.1}, 16, 1, 10),
        ({"gpus_per_worker": 0.4}, 16, 1, 2),  # the fifth of a GPU that is left serves nobody
        ({"gpus_per_worker": 0.6}, 16, 2, 2),
        ({"gpus_per_worker": 2}, 16, 4, 2),
        ({"gpus_per_worker": 2, "workers": 2}, 16, 9, 2),
        ({"gpus_per_worker": 0.5, "concurrent": 3}, 16, 4, 3),
    ],
)
def test_fits_of_trials(options, cpus, gpus, concurrent):
    assert plan(Options(**options), [NodeResources(cpus, gpus)]).concurrent == concurrent


def test_says_what_a_trial_takes():
    share = plan(Options(gpus_per_worker=0.25, workers=2, cpus_per_worker=3), [NodeResources(12, 1)])
    assert str(share) == "2 at a time, each 2 × 3 CPUs and 0.25 GPUs, of 12 CPUs and 1 GPU"
    assert share.needed == "2 × (0.25 GPU + 3 CPUs)"
    assert str(plan(Options(), [NodeResources(2, 0)])) == "2 at a time, each 1 × 1 CPUs, of 2 CPUs and 0 GPUs"


@pytest.mark.parametrize(
    ("options", "cpus", "gpus", "words"),
    [
        ({"gpus_per_worker": 1}, 8, 0, "--gpus-per-worker 1 with 1 workers asks for 1 GPUs, but Ray has 0"),
        ({"gpus_per_worker": 0.25}, 8, 0, "--gpus-per-worker 0.25 with 1 workers asks for 0.25 GPUs, but Ray has 0"),
        ({"workers": 3}, 8, 2, "--gpus-per-worker 1 with 3 workers asks for 3 GPUs, but Ray has 2"),
        ({"workers": 3}, 2, 0, "3 workers with 1 CPUs each ask for 3 CPUs, but Ray has 2"),
        ({"workers": 2, "cpus_per_worker": 2}, 3, 0, "2 workers with 2 CPUs each ask for 4 CPUs, but Ray has 3"),
    ],
)
def test_what_does_not_fit_once_is_an_error(options, cpus, gpus, words):
    with pytest.raises(UserError) as caught:
        plan(Options(**options), [NodeResources(cpus, gpus)])
    assert str(caught.value).startswith(words)


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0, 0.25, 0.3, 0.5, 1, 2]),
    st.integers(1, 32),
    st.integers(0, 8),
)
def test_all_trials_at_a_time_have_room(workers, cpus_per_worker, share, cpus, gpus):
    per_gpu = int(1 / share) if 0 < share < 1 else 0
    room = gpus * per_gpu if per_gpu else gpus // share if share else workers
    # That the remainders of several GPUs do not make one is a case of its own, below.
    assume(workers * share > gpus or room >= workers)
    try:
        options = Options(workers=workers, cpus_per_worker=cpus_per_worker, gpus_per_worker=share)
        found = plan(options, [NodeResources(cpus, gpus)])
    except UserError:
        assert workers * cpus_per_worker > cpus or workers * share > gpus
        return
    assert found.concurrent >= 1
    assert found.concurrent * workers * cpus_per_worker <= cpus
    assert not share or found.concurrent * workers <= room


def test_workers_that_no_single_gpus_have_room_for_are_an_error():
    with pytest.raises(UserError, match=r"--gpus-per-worker 0\.6 with 3 workers"):
        plan(Options(workers=3, gpus_per_worker=0.6), [NodeResources(16, 2)])


# Clusters, whose size changes.


@pytest.mark.parametrize(
    ("options", "nodes", "fits"),
    [
        ({}, [], 0),
        ({}, [(0, 0), (2, 0), (3, 0)], 5),
        ({"cpus_per_worker": 2}, [(1, 0), (1, 0), (3, 0)], 1),  # CPUs of different machines do not add up
        ({"workers": 2, "cpus_per_worker": 2}, [(3, 0), (3, 0)], 1),  # workers of a trial may be on two
        ({"gpus_per_worker": 1, "cpus_per_worker": 4}, [(16, 0), (8, 4), (8, 1)], 3),
        ({"gpus_per_worker": 2}, [(8, 1), (8, 1)], 0),
    ],
)
def test_a_cluster_has_room_by_machine(options, nodes, fits):
    nodes = [NodeResources(*node) for node in nodes]
    assert plan(Options(address="auto", **options), nodes).fits(nodes) == fits


def test_on_a_cluster_without_room_a_trial_is_asked_for_all_the_same():
    share = plan(Options(address="auto", gpus_per_worker=1, cpus_per_worker=4), [NodeResources(2, 0)])
    assert share.needed == "1 GPU + 4 CPUs"
    assert str(share) == "0 at a time now, each 1 × 4 CPUs and 1 GPUs, of 2 CPUs and 0 GPUs"
    assert total([NodeResources(1, 1), NodeResources(1, 0)]) == "2 CPUs and 1 GPU"


def test_trials_at_a_time_follow_the_cluster(monkeypatch):
    nodes = []
    monkeypatch.setattr(resources, "found", lambda: nodes)
    monkeypatch.setattr(resources, "REFRESH_SECONDS", 0.0)
    room = Room(plan(Options(address="auto"), nodes))
    assert room() == 1  # for an autoscaler to see
    nodes += [NodeResources(2, 0), NodeResources(3, 0)]
    assert room() == 5
    del nodes[0]
    assert pickle.loads(pickle.dumps(room))() == room() == 3


def test_trials_at_a_time_are_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(resources, "found", pytest.fail)
    assert Room(plan(Options(address="auto", concurrent=7), [NodeResources(2, 0)]))() == 7
    assert Room(plan(Options(concurrent=7), [NodeResources(2, 0)]))() == 2


def test_the_cluster_is_not_asked_at_every_step(monkeypatch):
    asked = []
    monkeypatch.setattr(resources, "found", lambda: asked.append(1) or [NodeResources(4, 0)])
    room = Room(plan(Options(address="auto"), []))
    assert [room() for _ in range(100)] == [4] * 100 and len(asked) == 1


def test_an_address_where_nothing_listens_is_said_at_once(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=f"--address {address}: no Ray cluster answers there .*refused"):
        connect(address, {})


def test_a_process_that_is_connected_to_ray_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    with (
        pytest.raises(UserError, match=r"connected to Ray already.*call ray\.shutdown\(\) first"),
        resources.cluster(None, tmp_path / "ray"),
    ):
        pass
