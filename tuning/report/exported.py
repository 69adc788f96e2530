"""The exported model on the page of its sweep: metrics, configuration, place and commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fame.datasets.sequences import PARTS
from fame.evaluation import seeds
from tuning.pages.tables import Table, columns
from tuning.plan.sweep_plan import Plan
from tuning.results.next_steps import model_commands, pages_command
from tuning.storage.layout import Storage, shown


@dataclass(frozen=True, kw_only=True)
class ModelOnPage:
    """The content of the folder that a sweep exported."""

    place: str
    config: str
    """The whole configuration, as YAML."""
    commands: list[tuple[str, str]]
    """Each with what it does."""
    metrics: dict[str, Any]
    """Its `metrics.json`."""

    @classmethod
    def read(cls, plan: Plan, storage: Storage) -> ModelOnPage | None:
        """Read the exported model of a sweep. None if there is none yet."""
        path = storage.best / "metrics.json"
        if not path.is_file():
            return None
        commands = {**model_commands(storage), "look": pages_command(plan, storage)}
        return cls(
            place=shown(storage.best),
            config=(storage.best / "config.yaml").read_text(encoding="utf-8"),
            commands=list(commands.items()),
            metrics=json.loads(path.read_text(encoding="utf-8")),
        )

    @property
    def trial(self) -> str:
        """Id of the trial that trained it."""
        return str(self.metrics["trial"])

    def table(self, metric: str) -> Table:
        """Return its metrics, the one that was searched by first."""
        names = sorted(self.metrics["test"], key=lambda name: name != metric)
        rows = [[name, *(seeds.shown(self.metrics, part, name) for part in PARTS)] for name in names]
        lists = self.metrics.get("lists", {})  # an early version measured none
        rows += [[name, *(f"{lists[part][name]:.4f}" for part in PARTS)] for name in lists.get("test", ())]
        return Table(title="Metrics of the exported model", columns=columns(["metric"], PARTS), rows=rows)
