"""What a sweep is going to do: options, space and data, checked, before anything starts.

A plan can be written to the sweep's folder and read from there, so that `--resume` goes on with
exactly the sweep that was started, whatever has become of the files it was made from.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from fame.config import Experiment
from fame.config_tree import apply_overrides, experiment_from_dict
from fame.errors import UserError
from tuning.options import PLACE, Options
from tuning.space import Space, default_space, flatten, read_space, space_from_dict

TRIALS = 8
"""Trials of a sweep that asks for no number."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked sweep."""

    options: Options
    space: Space
    trials: int

    @property
    def experiment(self) -> Experiment:
        """The settings of every trial, without what is searched."""
        return experiment_from_dict(self.space.base)

    @property
    def epochs(self) -> int:
        """Most epochs of a trial, over its stages."""
        return self._most("train.epochs") + self._most("backbone.epochs")

    def _most(self, key: str) -> int:
        parameter = self.space.search.get(key)
        if parameter is not None:
            return max(parameter.domain.ends())
        return flatten(dataclasses.asdict(self.experiment))[key]

    def to_record(self, fingerprint: str) -> dict[str, Any]:
        """Plain values from which `from_record` makes the plan again."""
        options = {f.name: getattr(self.options, f.name) for f in dataclasses.fields(Options) if f.name not in PLACE}
        options["set"] = list(options["set"])
        return {"options": options, "fingerprint": fingerprint, "trials": self.trials, "space": self.space.to_dict()}


def make_plan(options: Options) -> Plan:
    """Read and check everything that the options name, except the data. Raises `UserError`."""
    space = read_space(options.space or default_space(options.model))
    settings = flatten(apply_overrides({}, options.set))
    for key in settings:
        if key.startswith("data.") and key in options.data:
            raise UserError(f"--set {key}=…: the option for it was given, too; use one of them")
    settings |= options.data | {"train.metric": options.metric, "seed": options.seed}
    if options.epochs is not None:
        settings["train.epochs"] = options.epochs
    if space.model != options.model:
        if options.space is not None:
            raise UserError(f"{options.space} is a space for model '{space.model}', not for --model {options.model}")
        settings["model.name"] = options.model
    space = space.fix(settings)
    trials = options.trials or len(space.grid()) if options.sampler == "grid" else options.trials or TRIALS
    return Plan(options=options, space=space, trials=trials)


def plan_from_record(record: dict[str, Any], options: Options, given: dict[str, Any]) -> Plan:
    """The plan of a sweep that was started before.

    Raises `UserError` if an option given now contradicts it.
    """
    recorded = dict(record["options"])
    recorded["set"] = tuple(recorded["set"])
    for key, value in given.items():
        if key not in PLACE and value != recorded[key]:
            raise UserError(
                f"--{key.replace('_', '-')} {value}: the sweep was started with {recorded[key]}; "
                "leave the option out, or start another sweep with another --name"
            )
    place = {key: getattr(options, key) for key in PLACE}
    space = space_from_dict(record["space"], f"the record of sweep '{options.name}'")
    return Plan(options=Options(**recorded, **place), space=space, trials=record["trials"])
