"""The checked plan of a sweep: options, space and data.

The plan is written to the sweep's folder. So `--resume` continues exactly the sweep that was started, even if the files it
was made from have changed.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fame.config import DEFAULT_NEGATIVES, SAMPLED_LOSSES, Experiment, TextConfig
from fame.config.tree import apply_overrides, experiment_from_dict, flatten, section_from_dict, set_key
from fame.errors import UserError
from fame.text.encoder import encoder_folder
from fame.text.texts import text_columns
from tuning.plan.options import FINAL_SEEDS, PLACE, Options, flag
from tuning.plan.shared_stages import Expected, expected
from tuning.plan.size import Size, TrialShare, size_of
from tuning.schedulers import SCHEDULERS, Schedule
from tuning.space import Space, plain
from tuning.space.file import QUICK, fix
from tuning.space.space import MODELS
from tuning.study.aims import front, watched
from tuning.study.lessons import Lesson

if TYPE_CHECKING:
    from fame.datasets import Dataset
    from tuning.study.trials import SweepTrial

MOST_TRIALS = 1_000
"""Most trials of a sweep that a limit ends, and no number of trials."""
SHORT = 20
"""Mean length of histories up to which one sample for each prefix is searched: it costs as many times as much."""
NO_TEXT = {"text.plain": False, "text.epochs": 0}
"""Settings of a sweep whose items have no text."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked sweep."""

    options: Options
    space: Space
    trials: int
    """Most trials."""
    expected: int | None = None
    """Estimated number of trials of a sweep that a limit ends."""
    extended: int = 0
    """How often the sweep got other limits."""
    lessons: tuple[Lesson, ...] = ()
    """Finished trials of earlier sweeps that teach the sampler."""
    fingerprint: str | None = None
    """Fingerprint of the data that the sweep was started with; None for a new sweep."""

    @property
    def experiment(self) -> Experiment:
        """The settings that all trials have in common."""
        experiment = experiment_from_dict(self.space.experiment({}))
        if self.fingerprint is None:
            return experiment
        return dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, fingerprint=self.fingerprint))

    @property
    def metric(self) -> str:
        """The first aim: schedulers, learning curves and the export go by it."""
        return self.options.aims[0]

    @property
    def shown_numbers(self) -> tuple[str, ...]:
        """Names of the other aims, and of the numbers with limits."""
        return watched(self.options.aims, self.options.bounds)

    def front(self, trials: Sequence[SweepTrial]) -> list[SweepTrial]:
        """Return the Pareto front of a sweep with several aims. Empty for one aim."""
        return front(trials, self.options.aims) if len(self.options.aims) > 1 else []

    @property
    def rule(self) -> str:
        """The rule that chooses `best/`, in words."""
        limited = " that keep the limits" if self.options.limits else ""
        return f"best/ has the best {self.metric} of the finished trials{limited}"

    @property
    def mlflow_experiment(self) -> str:
        """The name of the MLflow experiment: that of the data unless an option gives one."""
        return self.options.experiment or self.experiment.data.name

    @property
    def epochs(self) -> int:
        """Most epochs of a trial, over its stages."""
        return self._most("train.epochs") + self._most("backbone.epochs")

    @property
    def planned(self) -> int | None:
        """The number of trials that was asked for. None if a limit ends the sweep."""
        return None if self.options.open_ended else self.trials

    def extended_by(self, limits: dict[str, Any]) -> Plan:
        """Return the plan of a sweep that was started before and gets other limits."""
        options = dataclasses.replace(self.options, **limits)
        if options == self.options:
            return self
        trials, space = options.trials or (MOST_TRIALS if options.open_ended else self.trials), self.space
        if SCHEDULERS[options.scheduler].pauses:
            raise UserError(
                f"--resume with {flag(next(iter(limits)))}: --scheduler {options.scheduler} advances all trials "
                "together, so its sweeps cannot be extended; start another one with --start-from"
            )
        trials = possible(trials, space)
        if options.epochs is not None and options.epochs != self.options.epochs:
            space = self._with_epochs(options.epochs)
        if options.final_top > trials:
            raise UserError(f"--trials {trials}: must be at least --final-top {options.final_top}")
        return dataclasses.replace(self, options=options, space=space, trials=trials, extended=self.extended + 1)

    def _with_epochs(self, epochs: int) -> Space:
        before = self._most("train.epochs")
        if "train.epochs" in map(plain, self.space.search):
            raise UserError(f"--epochs {epochs}: the sweep searches train.epochs; leave the option out")
        if epochs < before:
            raise UserError(f"--epochs {epochs}: the sweep's trials have up to {before}; give at least as many")
        base = copy.deepcopy(dict(self.space.base))
        for tree in base[MODELS].values() if self.space.members else [base]:
            set_key(tree, "train.epochs", epochs)
        return dataclasses.replace(self.space, base=base)

    @property
    def epochs_text(self) -> str:
        """The most epochs of a trial, with those of a backbone apart."""
        backbone = self._most("backbone.epochs")
        before = f", after at most {backbone} of their backbone" if backbone else ""
        return f"at most {self._most('train.epochs')} epochs each{before}"

    @property
    def final_seeds(self) -> tuple[int, ...]:
        """Seeds of the last step: they follow the seed of the trials."""
        first = self.options.seed + 1
        return tuple(range(first, first + (self.options.final_seeds or FINAL_SEEDS)))

    @property
    def schedule(self) -> Schedule:
        """The part of the plan that a scheduler needs."""
        options = self.options
        return Schedule(metric=self.metric, epochs=self.epochs, trials=self.trials, space=self.space, seed=options.seed)

    def shared_stages(self) -> list[Expected]:
        """The stages whose results trials share. A population's trials share none."""
        if SCHEDULERS[self.options.scheduler].changes:
            return []
        parts = {f" of {name}": one for name, one in self.space.members.items()} or {"": self.space}
        return [
            dataclasses.replace(stage, stage=f"{stage.stage}{of}")
            for of, one in parts.items()
            for stage in expected(one)
        ]

    @property
    def models(self) -> str:
        """Names of the models that are searched, as the record has them: `auto` may have been others."""
        return ", ".join(self.space.members or [self.space.model])

    @property
    def exhausts(self) -> bool:
        """Whether the trials are all configurations of the space."""
        return self.space.is_small() and self.trials == self.space.size()

    @property
    def demonstrates(self) -> bool:
        """Whether this is the quick sweep that shows the program, and not a search."""
        return self.options.space is None and self.space.source == QUICK

    def for_data(self, dataset: Dataset, share: TrialShare) -> Plan:
        """Return the plan of a new sweep with what the data and the machines decide where no option does.

        These are whether text, labels and prefixes are searched, the epochs of a trial and the number of trials.
        """
        plan = self._sized(dataset, share)
        if not plan.options.open_ended:
            return plan
        return dataclasses.replace(plan, expected=min(plan.trials, plan.size(dataset, share).fits(plan.epochs)))

    def _sized(self, dataset: Dataset, share: TrialShare) -> Plan:
        options = self.options
        if options.space is not None or self.demonstrates or options.sampler == "grid":
            return self
        settings: dict[str, Any] = {}
        searched = set(map(plain, self.space.search))
        if self.searches_text and not text_columns(dataset.items, self.experiment.text.columns):
            settings |= {key: off for key, off in NO_TEXT.items() if key in searched}
        if "model.labels" in searched and not dataset.facets and self.experiment.text.facets is None:
            settings["model.labels"] = False
        if "train.mode" in searched and dataset.statistics["average_length"] > SHORT:
            settings["train.mode"] = "all"
        size = dataclasses.replace(self, space=fix(self.space, settings)).size(dataset, share)
        if options.epochs is None and "train.epochs" not in flatten(apply_overrides({}, options.set)):
            settings["train.epochs"] = size.epochs(self._most("train.epochs"))
        plan = dataclasses.replace(self, space=fix(self.space, settings))
        if options.trials is None and not options.open_ended:
            plan = dataclasses.replace(plan, trials=max(size.trials(plan.epochs), options.final_top))
        return dataclasses.replace(plan, trials=possible(plan.trials, plan.space))

    def size(self, dataset: Dataset, share: TrialShare) -> Size:
        """Return what an epoch costs of a model in the middle of the space."""
        known = flatten(dataclasses.asdict(self.experiment))
        model = {
            key: fmean(self._values(f"model.{key}")) if f"model.{key}" in known else usual
            for key, usual in {"dim": 64, "blocks": 1}.items()
        }
        limit = self.options.budget_seconds
        modes = self._values("train.mode")
        prefixes = sum(mode == "prefix" for mode in modes) / len(modes)
        model["max_length"], validated = known["data.max_length"], self.validated
        sampled = all(loss in SAMPLED_LOSSES for loss in self._values("train.loss"))
        scored = max(count or DEFAULT_NEGATIVES for count in self._values("train.negatives")) if sampled else None
        statistics = dataset.statistics
        return size_of(model, prefixes, statistics, share, limit, scored=scored, validated=validated)

    @property
    def validated(self) -> int:
        """Users that are validated after each epoch; 0 is all."""
        return self._most("train.validation_users")

    @property
    def searches_text(self) -> bool:
        """Whether some trials start from the items' text."""
        return bool(self._most("text.epochs") or self._most("text.plain"))

    @property
    def searches_labels(self) -> bool:
        """Whether items have vectors of their labels in some trials."""
        return hasattr(self.experiment.model, "labels") and bool(self._most("model.labels"))

    def check_data(self, dataset: Dataset) -> None:
        """Raise `UserError` if the dataset lacks something that trials need, or an encoder cannot be found."""
        from fame.evaluation.final import diversity_column
        from fame.text.facets import item_labels, read_facet

        diversity_column(self.experiment.evaluate, dataset.items)
        if self.searches_labels:
            model: Any = self.experiment.model
            model = dataclasses.replace(model, labels=True)
            item_labels(dataclasses.replace(self.experiment, model=model), dataset)
        if not self.searches_text:
            return
        if not text_columns(dataset.items, self.experiment.text.columns):
            raise UserError(
                f"text.epochs, text.plain: trials start from the items' text, and {dataset.config.name} has none; "
                "give a table with --items or --data-dir, or leave the text stage out with --set text.epochs=0"
            )
        for encoder in self._values("text.encoder"):
            encoder_folder(encoder)
        rare = min(self._values("text.rare"))
        for facets in self._values("text.facets"):
            for facet in section_from_dict(TextConfig, {"facets": facets}, "text").facets or ():
                read_facet(facet, dataset.items.columns, rare)

    def _most(self, key: str) -> int:
        return max(self._values(key))

    def _values(self, key: str) -> Sequence[Any]:
        """Return the ends or choices of a searched key, or the one value of another key."""
        if self.space.members:
            parts = [dataclasses.replace(self, space=one) for one in self.space.members.values()]
            return [value for part in parts if key in part.space.defaults for value in part._values(key)]
        parameter = self.space.search.get(key)
        if parameter is not None:
            return parameter.domain.ends()
        return (flatten(dataclasses.asdict(self.experiment))[key],)

    def to_record(self, fingerprint: str) -> dict[str, Any]:
        """Return plain values from which `plan_from_record` makes the plan again."""
        options = {f.name: getattr(self.options, f.name) for f in dataclasses.fields(Options) if f.name not in PLACE}
        options |= {key: list(options[key]) for key in ("set", "limits")}
        return {
            "options": options,
            "fingerprint": fingerprint,
            "trials": self.trials,
            "expected": self.expected,
            "extended": self.extended,
            "lessons": [dataclasses.asdict(lesson) for lesson in self.lessons],
            "space": self.space.to_dict(),
        }


def possible(trials: int, space: Space) -> int:
    """Return the number of trials that a space has configurations for."""
    return min(trials, len(space.grid())) if space.is_small() else trials
