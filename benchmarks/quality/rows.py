"""The rows of the quality tables: named configurations, read from `rows.yaml`.

A row is one configuration that is trained on every data set. What differs by data set stands under its name,
and only where a published recipe says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.config import Experiment
from fame.config.tree import experiment_from_dict, read_yaml
from fame.errors import UserError, nearest

FILE = Path(__file__).with_name("rows.yaml")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration on one data set."""

    dataset: str
    name: str
    label: str
    settings: Mapping[str, Any]
    """A part of an experiment, as nested dictionaries."""

    def experiment(self, seed: int, data_dir: str | None = None) -> Experiment:
        """The row's experiment with this seed; `data_dir` holds the data set."""
        data = {**self.settings.get("data", {}), "name": self.dataset, "dir": data_dir}
        return experiment_from_dict({**self.settings, "data": data, "seed": seed})


def read_rows(path: Path = FILE) -> list[Row]:
    """All rows, in the order in which they are trained. Raises `UserError` for a section that is not a data set's."""
    content = read_yaml(path)
    rows = []
    for dataset in content["datasets"]:
        for name, row in content["rows"].items():
            if unknown := row.keys() - {"label", "settings", *content["datasets"]}:
                first = sorted(unknown)[0]
                raise UserError(f"{path}: row {name}: '{first}': {nearest(first, content['datasets'])}")
            settings = merged(row["settings"], row.get(dataset, {}))
            rows.append(Row(dataset=dataset, name=name, label=row["label"], settings=settings))
    return rows


def chosen(rows: list[Row], names: list[str]) -> Iterator[Row]:
    """The rows that `DATASET`, `DATASET:ROW` or `:ROW` name, in the order of the names; all without a name.

    Raises `UserError` for a name that fits no row.
    """
    if not names:
        yield from rows
    for text in names:
        dataset, _, name = text.partition(":")
        found = [row for row in rows if dataset in ("", row.dataset) and name in ("", row.name)]
        if not found:
            known = [f"{row.dataset}:{row.name}" for row in rows]
            raise UserError(f"{text}: no such row: {nearest(text, known)}")
        yield from found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries on top of each other."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
