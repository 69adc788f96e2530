from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from fame.errors import UserError
from tuning.plan.new_plan import make_plan
from tuning.plan.options import Options
from tuning.plan.sweep_plan import Plan
from tuning.schedulers import SCHEDULERS
from tuning.schedulers.limits import changeable, grace
from tuning.schedulers.population import Population, vary
from tuning.space.domains import Choices, FloatRange, IntRange
from tuning.space.file import space_from_dict
from tuning.trial.restart import Restart, leave_note, milestone_name, point_of, restart_of

TREE = {
    "base": {"model": {"name": "fame"}, "train": {"epochs": 8}},
    "search": {
        "model.heads": {"choices": [1, 2]},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "train.weight_decay": {"choices": [0.0, 1e-4, 1e-6]},
    },
}
METRIC = "ndcg@10"


def plan(scheduler: str, trials: int = 8, tree: dict = TREE) -> Plan:
    return Plan(options=Options(scheduler=scheduler), space=space_from_dict(tree), trials=trials)


class FakeTrial:
    """As much of Tune's trial as schedulers look at."""

    is_saving = False

    def __init__(self, trial_id: str, **config) -> None:
        self.trial_id, self.status, self.last_result = trial_id, Trial.PENDING, {}
        self.config = {"model.heads": 1, "model.dropout": 0.3, "train.lr": 1e-3, "train.weight_decay": 1e-6, **config}

    def set_config(self, config: dict) -> None:
        self.config = config

    def is_finished(self) -> bool:
        return self.status in (Trial.TERMINATED, Trial.ERROR)


class Controller:
    """Tune's loop: a few trials run at a time; each reports its score at every epoch."""

    def __init__(self, scheduler, trials, scores, epochs=8, slots=2) -> None:
        self.scheduler, self.trials, self.scores, self.epochs, self.slots = scheduler, trials, scores, epochs, slots
        self.log: list[tuple[str, int]] = []
        for trial in trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self):
        return self.trials

    def stop_trial(self, trial) -> None:
        trial.status = Trial.TERMINATED
        self.scheduler.on_trial_remove(self, trial)

    def run(self) -> None:
        while not all(trial.is_finished() for trial in self.trials):
            running = [trial for trial in self.trials if trial.status == Trial.RUNNING]
            while len(running) < self.slots and (trial := self.scheduler.choose_trial_to_run(self)):
                trial.status = Trial.RUNNING
                running.append(trial)
            assert running, "all trials wait"
            for trial in running:
                self.step(trial)

    def step(self, trial) -> None:
        epoch = max(restart_of(trial.config).seen, trial.last_result.get("epoch", 0)) + 1
        value = self.scores(trial, epoch)
        ends = epoch == self.epochs or value is None
        result = {"epoch": epoch, METRIC: value or 0.0, f"best_{METRIC}": value or 0.0, "finished": ends}
        self.log.append((trial.trial_id, epoch))
        action = self.scheduler.on_trial_result(self, trial, result)
        trial.last_result = result
        if ends:
            assert action == "CONTINUE", "a trial that ends by itself is left alone"
            trial.status = Trial.TERMINATED
            self.scheduler.on_trial_complete(self, trial, result)
        elif action == "STOP":
            trial.status = Trial.TERMINATED
            self.scheduler.on_trial_complete(self, trial, result)
        elif action == "PAUSE":
            trial.status = Trial.PAUSED


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_built_for_any_number_of_epochs(name):
    for epochs in (1, 2, 3, 7, 40):
        tree = {**TREE, "base": {**TREE["base"], "train": {"epochs": epochs}}}
        scheduler = SCHEDULERS[name].build(plan(name, tree=tree).schedule)
        assert scheduler.metric in (None, METRIC, f"best_{METRIC}")


def test_asha_stops_at_rungs_that_double_and_never_at_the_end():
    bracket = SCHEDULERS["asha"].build(plan("asha").schedule)._brackets[0]
    assert sorted(rung for rung, _ in bracket._rungs) == [2, 4, 8]
    assert grace(3) == 1


def test_median_never_pauses():
    scheduler = SCHEDULERS["median"].build(plan("median").schedule)
    trials = [FakeTrial("a"), FakeTrial("b")]
    controller = SimpleNamespace(get_live_trials=lambda: trials)
    for epoch in range(1, 8):
        result = {"epoch": epoch, f"best_{METRIC}": 0.1}
        assert scheduler.on_trial_result(controller, trials[0], result) == "CONTINUE"


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 8, 9, 40])
def test_hyperbands_first_bracket_stops_most_and_none_begins_at_epoch_0(epochs):
    tree = {**TREE, "base": {**TREE["base"], "train": {"epochs": epochs}}}
    scheduler = SCHEDULERS["hyperband"].build(plan("hyperband", tree=tree).schedule)
    controller = SimpleNamespace(get_trials=list)
    for number in range(40):
        scheduler.on_trial_add(controller, FakeTrial(str(number)))
    brackets = [bracket for band in scheduler._hyperbands for bracket in band]
    assert None not in brackets
    assert brackets[0]._r0 == 1
    assert [b._r0 for b in scheduler._hyperbands[0]] == sorted(b._r0 for b in scheduler._hyperbands[0])


def test_hyperband_halves_and_lets_the_last_end_by_themselves():
    trials = [FakeTrial(str(number)) for number in range(8)]
    controller = Controller(
        SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, lambda t, epoch: float(t.trial_id)
    )
    controller.run()
    reached = {trial.trial_id: trial.last_result["epoch"] for trial in trials}
    assert reached == {"7": 8, "6": 4, "5": 2, "4": 2, "3": 1, "2": 1, "1": 1, "0": 1}
    assert len(controller.log) == len(set(controller.log))


def test_hyperband_goes_on_when_a_trial_ends_early_that_others_wait_for():
    trials = [FakeTrial(str(number)) for number in range(8)]

    def scores(trial, epoch):  # the best two end by themselves after the first rung: out of patience
        return None if epoch == 2 and trial.trial_id in "67" else float(trial.trial_id)

    Controller(SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, scores).run()


def test_hyperband_of_a_restored_sweep_does_not_wait_for_trials_that_had_ended():
    trials = [FakeTrial(str(number)) for number in range(4)]
    trials[3].status = Trial.TERMINATED
    Controller(
        SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, lambda t, epoch: float(t.trial_id)
    ).run()


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


def test_what_may_change_is_told_by_the_key_not_the_model():
    assert changeable(space_from_dict(TREE)) == ["model.dropout", "train.lr", "train.weight_decay"]


def test_pbt_needs_a_searched_key_that_may_change():
    options = Options(scheduler="pbt", set=("model.dropout=0.2", "train.lr=0.001", "train.weight_decay=0"))
    with pytest.raises(UserError, match=r"^--scheduler pbt .* search one of train\.lr, ") as error:
        make_plan(options)
    assert "\n" not in str(error.value)


def test_pbt_needs_four_trials():
    with pytest.raises(UserError, match="with 3 trials: it compares quarters, so give --trials 4 or more"):
        make_plan(Options(scheduler="pbt", trials=3))
    make_plan(Options(scheduler="pbt", trials=4))


def test_a_note_stays_out_of_the_point():
    trial = FakeTrial("a")
    point = dict(trial.config)
    leave_note(trial, Restart(seen=3, generation=1, origin=f"b/{milestone_name(3, 0)}"))
    assert point_of(trial.config) == point
    assert restart_of(trial.config) == Restart(seen=3, generation=1, origin="b/epoch-3-0")
    assert restart_of(point) == Restart()
