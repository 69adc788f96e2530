"""The search for the best settings, from Python."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import Any

from fame.config import DataConfig
from fame.config.tree import section_from_dict
from fame.datasets import Dataset, find_entry
from fame.errors import UserError
from fame.library.settings import check_dataset, dotted
from fame.packages import optional
from tuning.library.run import carry_out, planned
from tuning.library.sweep import Sweep
from tuning.plan.command_line import parse
from tuning.plan.options import DATA_OPTIONS, DEFAULTS, REMOVED, Options

OPTIONS = {field.name for field in dataclasses.fields(Options)} - {"data", "set", "dry_run"}
"""Options of the command that `tune` takes as keywords."""


def tune(data: Dataset, *, model: str | None = None, trials: int | None = None, **options: Any) -> Sweep:
    """Search the best settings of a model: Optuna proposes, Ray trains and stops, MLflow records. Return the results.

    `model` is a registered name, or several with commas in between; by default FAME and SASRec are searched, each with or
    without a memory. `options` are those of `fame sweep` with `_` for `-`:
    `space="quick"`, `epochs=10`, `scheduler="asha"`, `name="shop"`, `storage="runs"`, `workers=2`, `metric=["ndcg@10",
    "coverage@10"]`, `limits=["latency_ms < 5"]`, `resume=True`, … (docs/SETTINGS.md lists them). Any other keyword is a
    setting that all trials have, as in `fame.fit`: `dim=64`. Without `trials` their number follows the data and the
    machine.

    The sweep leaves what the command leaves, in the same folder. Ctrl-C, and the stop button of a notebook, end it
    softly: the best so far is exported, and `resume=True` with the sweep's `name` goes on.

    Raises `UserError` for what cannot be used, `RuntimeError` if Ray dies.

        >>> import fame, tuning
        >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
        >>> tuning.tune(data, trails=4)
        Traceback (most recent call last):
        fame.errors.UserError: unknown setting 'trails': did you mean 'trials'? ...
        >>> tuning.tune(data, trials=0)
        Traceback (most recent call last):
        fame.errors.UserError: --trials 0: must be at least 1
    """
    check_dataset(data)
    if threading.current_thread() is not threading.main_thread():
        raise UserError("tune runs in the main thread alone: it listens to Ctrl-C; start it there, or as a process")
    with optional():
        from tuning.machines.watch import CannotGoOnError

        plan, storage = planned(*options_of(data, {"model": model, "trials": trials, **options}))
    if plan.fingerprint not in (None, data.fingerprint):
        raise UserError(
            f"resume: sweep '{storage.name}' has other data than these; give its data, or start another sweep"
        )
    try:
        with optional():
            carry_out(plan, storage, report=lambda line: None)
    except CannotGoOnError as error:
        raise RuntimeError(str(error)) from error
    return Sweep(storage.name, plan.options.storage, data)


def options_of(data: Dataset, keywords: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Return the options of the command that the keywords stand for, and those that were given. Raises `UserError`.

    A sweep that goes on has its data and settings from its record.
    """
    from tuning.plan.new_plan import of_its_space

    for key in REMOVED.keys() & keywords.keys():
        raise UserError(f"{key}: there is no such option any more; {REMOVED[key]}")
    words = [word for key in OPTIONS & keywords.keys() for word in _words(key, keywords[key])]
    rest = {key: value for key, value in keywords.items() if key not in OPTIONS}
    of_data, prepared = data_options(data)
    asked = Options(data=of_data, model=keywords.get("model"), space=keywords.get("space"))
    settings = dotted(of_its_space(asked).models[0], rest, OPTIONS) if rest else {}
    if settings or not keywords.get("resume"):
        settings = prepared | settings
    for key, value in settings.items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    options, given = parse(words)
    if options.resume:
        return options, given
    return dataclasses.replace(options, data=of_data), {**given, "data": of_data}


def data_options(data: Dataset) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a dataset that the command has options for, and its preparation where it differs.

    What the dataset's recipe says anyway is left out.
    """
    settings, config = data.settings, data.config
    default = {f"data.{key}": value for key, value in dataclasses.asdict(DataConfig()).items()} | {"data.name": None}
    of_data = {key: settings[key] for key in DATA_OPTIONS if settings.get(key) != default.get(key)}
    named = {key.removeprefix("data."): value for key, value in of_data.items() if key.startswith("data.")}
    usual = find_entry(config).resolve(section_from_dict(DataConfig, named, "data"))
    usual_settings = {f"data.{key}": value for key, value in dataclasses.asdict(usual).items()}
    prepared = {
        key: value
        for key, value in settings.items()
        if key in usual_settings.keys() - of_data.keys() - {"data.fingerprint"} and value != usual_settings[key]
    }
    return of_data, prepared


def _words(key: str, value: Any) -> list[str]:
    """Words of the command line that say the same as a keyword."""
    name = key.replace("_", "-")
    option = f"--{name}"
    if value is False and getattr(DEFAULTS, key) is True:
        return [f"--no-{name}"]
    if value is None or value is False:
        return []
    if key == "metric" and not isinstance(value, str):
        value = ",".join(value)
    if key == "limits":
        return [f"{option}={one}" for one in ([value] if isinstance(value, str) else value)]
    return [option] if value is True else [f"{option}={value}"]
