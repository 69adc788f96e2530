"""The plan of a new sweep: all that the options name is read and checked, except the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fame.config import EvaluateConfig
from fame.config.tree import apply_overrides, flatten
from fame.errors import UserError, nearest
from fame.text.encoder import absolute_encoder
from tuning.plan.options import Options
from tuning.plan.sweep_plan import MOST_TRIALS, Plan, possible
from tuning.schedulers import SCHEDULERS
from tuning.space import Space
from tuning.space.domains import Choices
from tuning.space.file import default_space, fix, read_space
from tuning.space.models import merge
from tuning.study.aims import watched

TRIALS = 8
"""Trials of a sweep without --trials."""
OPTION_OF = {"model.name": "model", "train.metric": "metric", "seed": "seed"}
"""Settings that an option decides, even if it is not given."""


def of_its_space(options: Options) -> Options:
    """Return options without a model with that of their space. Raises `UserError` if the file cannot be read."""
    if options.space is None or options.model is not None:
        return options
    return dataclasses.replace(options, model=read_space(options.space).model)


def make_plan(options: Options) -> Plan:
    """Read and check all that the options name, except the data. Raises `UserError`."""
    options = of_its_space(options)
    names = options.models
    if len(names) == 1:
        space = _space_of(options, names[0])
    else:
        if options.space is not None:
            raise UserError(
                f"--space {options.space}: each of several models is searched in its own space; leave it out"
            )
        settings = flatten(apply_overrides({}, options.set))
        parts = {name: _space_of(options, name) for name in names}
        _check_known(settings, list(parts.values()), f"none of the models {', '.join(names)} has this setting")
        space = merge(parts)
    usual = len(space.grid()) if options.sampler == "grid" else MOST_TRIALS if options.open_ended else TRIALS
    trials = possible(options.trials or usual, space)
    plan = Plan(options=options, space=space, trials=trials)
    SCHEDULERS[options.scheduler].check(plan.schedule)
    if options.final_top > trials:
        raise UserError(f"--final-top {options.final_top}: there are only {trials} trials; lower it, or raise --trials")
    return plan


def _space_of(options: Options, model: str) -> Space:
    """Return the space of one model with all that the options say."""
    several = len(options.models) > 1
    space = read_space(options.space or default_space(model, several or bool(options.data)))
    settings = flatten(apply_overrides({}, options.set))
    for key in settings:
        if key in options.data or (key == "train.epochs" and options.epochs is not None):
            raise UserError(f"--set {key}=…: the option for it was given, too; use one of them")
        if key in OPTION_OF:
            raise UserError(f"--set {key}=…: would be ignored; use --{OPTION_OF[key]} instead")
    for key in ("train.metric", "seed"):
        asked = options.seed if key == "seed" else options.aims[0]
        if space.fixed.get(key, asked) != asked:
            raise UserError(
                f"{space.source}: base: {key} = {space.fixed[key]!r} would be ignored; take it out, "
                f"and give --{OPTION_OF[key]} {space.fixed[key]} instead"
            )
    settings |= options.data | {"train.metric": options.aims[0], "seed": options.seed}
    if options.epochs is not None:
        settings["train.epochs"] = options.epochs
    if space.model != model:
        if options.space is not None:
            raise UserError(f"{options.space} is a space for model '{space.model}', not for --model {model}")
        settings["model.name"] = model
    of_model = space if space.model == model else fix(space, {"model.name": model})
    if several:
        settings = {key: value for key, value in settings.items() if of_model.has(key)}
    else:
        _check_known(settings, [of_model], f"model {model} has no such setting")
    settings |= _evaluated(options, space.fixed | settings)
    encoder = settings.get("text.encoder", space.fixed.get("text.encoder"))
    if isinstance(encoder, str):  # trials run in other folders
        settings["text.encoder"] = absolute_encoder(encoder)
    return _with_absolute_encoders(fix(space, settings))


def _check_known(settings: Mapping[str, Any], spaces: Sequence[Space], problem: str) -> None:
    """Raise `UserError` for a key of --set that none of the models' experiments has."""
    for key in settings:
        if not any(space.has(key) for space in spaces):
            known = list(dict.fromkeys(name for space in spaces for name in space.defaults))
            raise UserError(f"--set {key}=…: {problem}: {nearest(key, known)}")


def _evaluated(options: Options, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with which every epoch has the numbers that aims and limits need."""
    names = [name.split("@") for name in watched(options.aims, options.bounds) if "@" in name]
    usual, found = EvaluateConfig(), {}
    needs: dict[str, list[Any]] = {"metrics": [kind for kind, _ in names], "cutoffs": [int(k) for _, k in names]}
    for key, needed in needs.items():
        before = known.get(f"evaluate.{key}", getattr(usual, key))
        if not set(needed) <= set(before):
            found[f"evaluate.{key}"] = list(dict.fromkeys((*before, *needed)))
    return found


def _with_absolute_encoders(space: Space) -> Space:
    """Return the space with whole paths for its encoders that are folders."""
    parameter = space.search.get("text.encoder")
    if parameter is None:
        return space
    assert isinstance(parameter.domain, Choices), "text is searched by choices"
    domain = Choices(tuple(absolute_encoder(str(choice)) for choice in parameter.domain.choices))
    start = tuple(
        {key: absolute_encoder(value) if key == "text.encoder" else value for key, value in point.items()}
        for point in space.start
    )
    search = {**space.search, "text.encoder": dataclasses.replace(parameter, domain=domain)}
    return dataclasses.replace(space, search=search, start=start)
