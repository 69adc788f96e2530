"""Datasets: found or generated, prepared once, loaded by memory-mapping.

`load_dataset(config)` is all that a training needs; `Dataset.from_pandas` takes tables in memory. pandas and pyarrow
are imported when something is read for the first time; a dataset that is prepared already needs numpy alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fame.config import DataConfig
from fame.datasets import store
from fame.datasets.cache import cache_root, locked, writable
from fame.datasets.dataset import Dataset, statistics
from fame.datasets.entry import DatasetEntry, Raw, Report, Source
from fame.datasets.fingerprints import content_fingerprint, items_fingerprint
from fame.datasets.items import Items, TextColumn
from fame.datasets.sequences import PARTS, Sequences
from fame.errors import UserError
from fame.packages import optional
from fame.registry import datasets
from fame.tables.places import absolute

if TYPE_CHECKING:
    from fame.datasets.preparation.chunks import Engine

__all__ = ["Dataset", "Items", "TextColumn", "load_dataset", "print_to_stderr"]

PREPARATION = 4
"""To be raised when the same source and settings come out differently."""


def print_to_stderr(line: str) -> None:
    """The default report."""
    print(line, file=sys.stderr)


def load_dataset(config: DataConfig, *, report: Report = print_to_stderr, engine: Engine | None = None) -> Dataset:
    """The dataset that `config` describes, from the cache if it was prepared before. `engine` may read its files.

    Raises `UserError` if it cannot be found, read or prepared, or if it is not the one that
    `config.fingerprint` names.
    """
    entry = find_entry(config)
    config = entry.resolve(_absolute(config))
    with optional():
        source = entry.origin.locate(config.name, config, report)
        dataset = _load(entry, source, config, report, engine)
    if config.fingerprint not in (None, dataset.fingerprint):
        raise UserError(
            f"data.fingerprint = {config.fingerprint}: {config.name} from {source.description} is {dataset.fingerprint}, "
            "so it is other data or other settings; use the original data, or remove data.fingerprint to accept this"
        )
    for note in dataset.notes:
        report(note)
    return dataclasses.replace(dataset, config=dataclasses.replace(config, fingerprint=dataset.fingerprint))


def find_entry(config: DataConfig) -> DatasetEntry:
    """The catalogue's entry, or that of own data. Raises `UserError` for an unknown name."""
    from fame.datasets.sources import OWN_DATA, SPLIT_DATA

    if config.path is None:
        return datasets.get(config.name)
    return SPLIT_DATA if config.split.by == "files" else OWN_DATA


def _absolute(config: DataConfig) -> DataConfig:
    """Paths made absolute: a configuration is also used in processes with another working folder."""
    paths: dict[str, Any] = {
        key: absolute(value) for key in ("path", "items") if (value := getattr(config, key)) is not None
    }
    if config.dir is not None:
        paths["dir"] = os.path.abspath(Path(config.dir).expanduser())
    if config.split.by == "files":
        parts: dict[str, Any] = {
            part: absolute(value) for part in PARTS if isinstance(value := getattr(config.split, part), str)
        }
        config = dataclasses.replace(config, split=dataclasses.replace(config.split, **parts))
    return dataclasses.replace(config, **paths)


def file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".") or "data"


def _key(source: Source, config: DataConfig) -> str:
    settings: list[object] = [config.min_rating, config.core, config.min_history, config.max_history, config.repeats]
    if not config.split.leave_one_out:
        settings.append(dataclasses.astuple(config.split))
    identity = json.dumps([PREPARATION, store.FORMAT, source.identity, settings], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _load(entry: DatasetEntry, source: Source, config: DataConfig, report: Report, engine: Engine | None) -> Dataset:
    folder = cache_root() / "prepared" / f"{file_name(config.name)}-{_key(source, config)}"
    try:
        return store.load(folder)
    except store.BrokenStore:
        with locked(folder.name, report):
            return _load_or_prepare(folder, entry, source, config, report, engine)


def _load_or_prepare(
    folder: Path, entry: DatasetEntry, source: Source, config: DataConfig, report: Report, engine: Engine | None
) -> Dataset:
    """To be called under the folder's lock: another process may have prepared it in the meantime."""
    if folder.exists():
        try:
            return store.load(folder)
        except store.BrokenStore as error:
            report(f"prepared data in {folder} is damaged ({error}): preparing it again")
            with writable():
                shutil.rmtree(folder)
    store.save(_prepare(entry, source, config, engine), folder)
    return store.load(folder)


def _prepare(entry: DatasetEntry, source: Source, config: DataConfig, engine: Engine | None) -> Dataset:
    from fame.datasets.preparation.prepare import prepare
    from fame.datasets.splits import split_notes, split_statistics

    raw = source.read()
    prepared = prepare(raw, config, engine)
    notes = [
        f"{config.name}: {before.users - after.users:,} of {before.users:,} users left out by: {after.name}"
        for before, after in itertools.pairwise(prepared.steps)
        if before.users > after.users
    ]
    sequences = Sequences(
        values=prepared.values,
        offsets=prepared.offsets,
        item_count=len(prepared.item_ids),
        validation=prepared.validation,
        test=prepared.test,
    )
    figures = statistics(sequences, [dataclasses.asdict(step) for step in prepared.steps])
    if not config.split.leave_one_out:
        figures["split"] = split_statistics(sequences, config.split, prepared.begins)
        notes += split_notes(config.name, figures["split"])
    columns = _item_columns(entry, raw, prepared.item_ids, notes)
    if raw.columns:
        figures["columns"] = dict(raw.columns)
    notes = [*raw.notes(), *prepared.notes, *notes]
    fingerprint = content_fingerprint(sequences, prepared.user_ids, prepared.item_ids)
    return Dataset(
        config=dataclasses.replace(config, fingerprint=fingerprint),
        sequences=sequences,
        user_ids=prepared.user_ids,
        items=Items(ids=prepared.item_ids, columns=columns),
        facets=tuple(name for name in entry.facets if name in columns),
        statistics=figures,
        source=source.description,
        notes=tuple(notes),
        fingerprint=fingerprint,
        items_fingerprint=items_fingerprint(columns),
    )


def _item_columns(entry: DatasetEntry, raw: Raw, item_ids: np.ndarray, notes: list[str]) -> dict[str, TextColumn]:
    """Text of the items in order of their numbers; columns without any text are left out. Adds to `notes`."""
    table = raw.items()
    if table is None:
        return {}
    row_of = dict(zip(reversed(table.ids), range(len(table.ids) - 1, -1, -1), strict=True))
    rows = [row_of.get(str(item), -1) for item in item_ids.tolist()]
    known = len(rows) - rows.count(-1)
    if raw.partial_items is not None and known < len(rows):
        if not known:
            theirs = f"its ids are such as {table.ids[0]!r}" if table.ids else "it has no rows"
            raise UserError(
                f"{raw.partial_items} names none of the {len(rows):,} items: {theirs}, those of the items such as "
                f"{str(item_ids[0])!r}; check its id column"
            )
        notes.append(
            f"warning: {raw.partial_items} covers {known:,} of {len(rows):,} items ({known / len(rows):.1%}); "
            "the others have no text"
        )
    columns = entry.enrich(table.columns)
    chosen = {name: ["" if row < 0 else texts[row] for row in rows] for name, texts in columns.items()}
    return {name: TextColumn.from_strings(texts) for name, texts in chosen.items() if any(texts)}
