"""A population copies its best, and varies what it copies."""

from __future__ import annotations

import random

import pytest

from tests.tuning.schedulers.controller import Controller, FakeTrial, plan
from tuning.schedulers import SCHEDULERS
from tuning.schedulers.population import Population, vary
from tuning.space.domains import Choices, FloatRange, IntRange
from tuning.trial.restart import point_of, restart_of


def population(slots: int, trials: int = 8) -> tuple[Population, list[FakeTrial], Controller]:
    members = [FakeTrial(str(number), **{"model.heads": number % 2 + 1}) for number in range(trials)]
    scheduler = SCHEDULERS["pbt"].build(plan("pbt", trials).schedule)

    def scores(trial, epoch):
        origin = restart_of(trial.config).origin
        return -float((origin or trial.trial_id).split("/")[0])

    return scheduler, members, Controller(scheduler, members, scores, slots=slots)


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
def test_a_population_copies_its_best_quarter_at_the_same_milestone(slots):
    scheduler, trials, controller = population(slots)
    controller.run()
    assert {trial.last_result["epoch"] for trial in trials} == {8}
    assert len(controller.log) == len(set(controller.log)) == 8 * 8, "each epoch of each trial is reported once"
    copied = {trial.trial_id: restart_of(trial.config) for trial in trials if restart_of(trial.config).origin}
    assert copied
    for trial_id, restart in copied.items():
        donor, _, state = restart.origin.partition("/")
        milestone = int(state.split("-")[1])
        members = scheduler.milestones[milestone]
        assert members[donor].score > members[trial_id].score
        assert members[donor].state == restart.origin
        assert milestone <= restart.seen
    assert "0" not in copied
    assert {"7", "6"} <= copied.keys()


def test_a_copy_has_the_structure_of_its_origin_and_other_settings():
    scheduler, trials, controller = population(slots=2)
    controller.run()
    space = scheduler.space
    for trial in trials:
        point = point_of(trial.config)
        assert space.problem(point) is None
        assert all(value in space.search[key].domain for key, value in point.items())
    restart = restart_of(trials[7].config)
    donor = scheduler.milestones[2][restart.origin.split("/")[0]]
    point = point_of(trials[7].config)
    assert point["model.heads"] == donor.point["model.heads"]
    assert point != donor.point


def test_a_population_of_no_difference_copies_nothing():
    trials = [FakeTrial(str(number)) for number in range(8)]
    Controller(SCHEDULERS["pbt"].build(plan("pbt").schedule), trials, lambda trial, epoch: 0.5).run()
    assert not any(restart_of(trial.config).origin for trial in trials)


def test_a_population_is_saved_and_restored(tmp_path):
    scheduler, _, controller = population(slots=2)
    controller.run()
    scheduler.save(str(tmp_path / "state"))
    other = SCHEDULERS["pbt"].build(plan("pbt").schedule)
    other.restore(str(tmp_path / "state"))
    assert other.milestones == scheduler.milestones
    assert other.rng.random() == scheduler.rng.random()


@pytest.mark.parametrize(
    ("domain", "value", "expected"),
    [
        (Choices((0.0, 1e-4, 1e-6)), 1e-6, {0.0, 1e-4, 1e-6}),
        (Choices(("a", "b", "c")), "a", {"a", "b", "c"}),
        (Choices((5,)), 5, {5}),
        (IntRange(1, 4), 4, {1, 2, 3, 4}),
        (FloatRange(0.1, 0.6, step=0.1), 0.3, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}),
    ],
)
def test_variations_stay_in_the_domain_and_are_mostly_neighbours(domain, value, expected):
    rng = random.Random(0)
    drawn = [vary(domain, value, rng) for _ in range(400)]
    assert set(drawn) == expected
    ordered = sorted(expected)
    near = sum(abs(ordered.index(new) - ordered.index(value)) <= 1 for new in drawn)
    assert near >= 0.7 * len(drawn)


def test_variations_of_a_continuous_key_stay_in_its_range():
    rng, domain, value = random.Random(0), FloatRange(1e-4, 1e-2, log=True), 9e-3
    for _ in range(200):
        value = vary(domain, value, rng)
        assert value in domain
