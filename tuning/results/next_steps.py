"""The commands that follow a sweep: continue it, and use the model that it exported."""

from __future__ import annotations

from fame.command_line import line
from fame.serving.exported import load_catalogue
from tuning.plan.options import DEFAULTS
from tuning.plan.sweep_plan import Plan
from tuning.storage.layout import Storage, shown

EXAMPLE_ITEMS = 3
"""Most popular items in the example history."""


def model_commands(storage: Storage) -> dict[str, str]:
    """Return the commands that train the exported configuration again, and that use the exported model."""
    folder = shown(storage.best)
    return {
        "again": line("train", "fame.train", "--config", f"{folder}/config.yaml"),
        "use": line("recommend", "fame.recommend", "--model", folder, "--history", _example_history(storage)),
    }


def resume_command(plan: Plan, storage: Storage) -> str:
    """Return the line that continues the sweep from this directory, also without an activated environment."""
    return line("sweep", "tuning.sweep", "--resume", *_options(plan, storage, "storage", "address"))


def pages_command(plan: Plan, storage: Storage) -> str:
    """Return the line that serves the pages of the sweep."""
    return line("dashboards", "tuning.dashboards", *_options(plan, storage, "storage"))


def _options(plan: Plan, storage: Storage, *keys: str) -> list[str]:
    """Return the options that name the sweep."""
    words = ["--name", storage.name]
    for key in keys:
        value = getattr(plan.options, key)
        if value != getattr(DEFAULTS, key):
            words += [f"--{key}", value]
    return words


def _example_history(storage: Storage) -> str:
    catalogue = load_catalogue(storage.best)
    popular = sorted(range(len(catalogue.ids)), key=lambda index: -catalogue.counts[index])
    return ",".join(str(catalogue.ids[index]) for index in popular[:EXAMPLE_ITEMS])
