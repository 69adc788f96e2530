"""Users and histories from files, as the numbers of a model's catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fame.config import DataConfig
from fame.datasets.preparation.interactions import USUAL_NAMES
from fame.datasets.preparation.prepare import read_histories
from fame.datasets.sources import OWN_DATA, reading
from fame.errors import UserError
from fame.serving.histories import Histories
from fame.serving.recommender import Recommender
from fame.tables.columns import id_texts
from fame.tables.formats import open_table
from fame.tables.names import find_column
from fame.tables.places import absolute, find_files
from fame.tables.table import Rows

Report = Callable[[str], None]


def own_histories(recommender: Recommender, path: str, settings: Mapping[str, Any], report: Report) -> Histories:
    """The histories in a table of interactions, in any form that training data may have.

    Ratings and repeats are treated as in the model's training data. Items that the model does not know are left out.
    Raises `UserError` for a table that cannot be read.
    """
    config = _config(path, settings, recommender.exported.experiment.data)
    raw = OWN_DATA.origin.locate("--histories", config, report).read()
    found = read_histories(raw, config)
    for note in [*raw.notes(), *found.notes]:
        report(note)
    numbers = np.array([recommender.number(id) or 0 for id in found.item_ids.tolist()], np.int32)
    values = numbers[found.values - 1]
    known = values > 0
    offsets = np.concatenate([[0], np.cumsum(known)])[found.offsets]
    if not known.all():
        report(
            f"{_share(len(known) - known.sum(), len(known))} interactions are with items unknown to the model: left out"
        )
    if without := int((np.diff(offsets) == 0).sum()):
        report(
            f"{_share(without, len(found.user_ids))} users have no known item: they get popular items, without a score"
        )
    return Histories(ids=found.user_ids, values=values[known], offsets=offsets)


def chosen_users(recommender: Recommender, path: str, settings: Mapping[str, Any], report: Report) -> Histories:
    """Return the users of the model's data that a table or a list of ids names. Raises `UserError` if it knows none."""
    ids = dict.fromkeys(_user_ids(path, _config(path, settings, recommender.exported.experiment.data)))
    places = [place for id in ids if (place := recommender.users.find(id)) is not None]
    if not places:
        looks = ", ".join(map(str, recommender.users.ids[:3].tolist()))
        raise UserError(f"--users {path}: the model knows none of its {len(ids):,} users; its ids look like {looks}")
    if len(places) < len(ids):
        report(f"{_share(len(ids) - len(places), len(ids))} users are unknown to the model: left out")
    return recommender.users.of(places)


def _config(path: str, settings: Mapping[str, Any], trained: DataConfig) -> DataConfig:
    """How to read the file: as the options say, and prepared as the training data was."""
    given = {key.removeprefix("data."): value for key, value in settings.items()}
    config = DataConfig(
        name="histories", path=absolute(path), min_rating=trained.min_rating, repeats=trained.repeats, **given
    )
    return dataclasses.replace(OWN_DATA.resolve(config), name=path)


def _user_ids(path: str, config: DataConfig) -> list[str]:
    """The ids in the user column of a table, or in its only one."""
    import pyarrow as pa

    named = (config.columns or {}).get("user")
    table = open_table(find_files("--users", absolute(path)), "--users", reading(config), [named] if named else [])
    usual = [name for name in table.columns if name.lower().replace("_", "").replace("-", "") in USUAL_NAMES["user"]]
    if named is not None:
        column = find_column(table, named, "user")
    elif usual:
        column = usual[0]
    elif len(table.columns) == 1:
        column = table.columns[0]
    else:
        there = ", ".join(table.columns)
        raise UserError(f"--users {path}: which column is the user? Add --columns user=NAME; columns there: {there}")
    found = [] if named or usual or table.headless else [column]  # a list of ids has no header
    for batch in table.batches([column]):
        texts = id_texts(batch.columns.column(column), "user", Rows())
        found += [text for text in texts.cast(pa.string()).to_pylist() if text]
    return found


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"
