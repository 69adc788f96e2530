"""Tune's loop, as far as schedulers see it."""

from __future__ import annotations

from ray.tune.experiment import Trial

from tuning.plan.options import Options
from tuning.plan.sweep_plan import Plan
from tuning.space.file import space_from_dict
from tuning.trial.restart import restart_of

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
