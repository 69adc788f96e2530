"""Items that a model has not seen, added to its exported folder by their text.

The folder that comes out is one like any other: the new items are rows of the table after the last one, without interactions.
It recommends them, reads them in histories, filters by their columns, is served, indexed and exported.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint, with_prefix
from fame.datasets import Items, TextColumn, find_entry
from fame.datasets.item_tables import ITEM_ID_NAMES
from fame.datasets.sources import own_items
from fame.errors import UserError
from fame.index.inverted import INDEX, check_sum
from fame.runtime.files import replacing, writing
from fame.runtime.parallel import Workers
from fame.serving.card import model_card
from fame.serving.exported import EVALUATED, TEXT_MAP, WEIGHTS, Catalogue, ExportedModel, load_model
from fame.tables.places import absolute, find_files
from fame.text.texts import text_columns, with_text

Report = Callable[[str], None]
STALE = (INDEX, "model.pt2", "model.onnx", "model.onnx.data")
"""Files that hold the table of the items before."""


def with_new_items(folder: Path, place: str, settings: Mapping[str, Any], target: Path, report: Report) -> int:
    """Write an exported folder with the items of a table added, in place of one that is there; how many these are.

    `settings` are those of `data` that say how to read it, where it is not read like the model's own item table.
    Raises `UserError` for a model that did not start from text, for a table that cannot be read or has no new item, and
    for items that occur twice or have no text. Known items stay as they are.
    """
    from fame.text.pretrain import text_vectors_of

    exported = load_model(folder)
    items = _read(folder, exported, place, settings, report)
    known, e_NE = text_vectors_of(exported.experiment.text, items, Workers.current().device, report)
    assert len(known) == len(items), "each has text"
    with writing(target), replacing(target) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        for name in STALE:
            (temporary / name).unlink(missing_ok=True)
        for name in (WEIGHTS, EVALUATED):
            if (folder / name).is_file():
                _write_weights(load_model(folder, name), e_NE.cpu(), folder / name, temporary / name)
        catalogue = dataclasses.asdict(_joined(exported.catalogue, items))
        (temporary / "items.json").write_text(json.dumps(catalogue, ensure_ascii=False), encoding="utf-8")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        before = metrics.get("new_items", {"count": 0, "weights": check_sum(folder)})
        metrics["new_items"] = before | {"count": before["count"] + len(items)}
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        (temporary / "README.md").write_text(model_card(exported.experiment, metrics), encoding="utf-8")
    return len(items)


def _read(folder: Path, exported: ExportedModel, place: str, settings: Mapping[str, Any], report: Report) -> Items:
    """The items of a table, as far as the model can place them. Raises `UserError`."""
    experiment, catalogue = exported.experiment, exported.catalogue
    if not experiment.text.enabled:
        raise UserError(
            f"--items {place}: the model in {folder} did not start from text, so new items have no vectors; "
            "train one with --set text.plain=true"
        )
    if exported.text_map is None:
        raise UserError(f"--items {place}: {folder} was exported by an earlier version; export the model again")
    given = {key.removeprefix("data."): value for key, value in settings.items()}
    columns = (experiment.data.columns or {}) | given.pop("columns", {})
    config = dataclasses.replace(experiment.data, name=place, columns=columns or None, **given)
    found = own_items(find_files("--items", absolute(place)), config, columns.get("item", ITEM_ID_NAMES[0]))
    for note in found.notes:
        report(note)
    if not found.table.ids:
        raise UserError(f"--items {place}: has no rows; give a table with an id column and the items' text")
    ids = _like(found.table.ids, catalogue.ids, place)
    if repeated := _repeated(ids):
        raise UserError(
            f"--items {place}: {len(repeated):,} of {len(ids):,} items stand there more than once, {repeated[0]!r} first; "
            "leave them out"
        )
    new = np.flatnonzero(np.isin(ids, np.array(catalogue.ids), invert=True))
    if not len(new):
        raise UserError(f"--items {place}: the model knows all {len(ids):,} items already; give items that are new")
    if len(new) < len(ids):
        report(f"{len(ids) - len(new):,} of {len(ids):,} items in {place} are known to the model and stay as they are")
    order = new[np.argsort(ids[new])]
    texts = find_entry(experiment.data).enrich(found.table.columns)
    items = Items(
        ids=ids[order],
        columns={name: TextColumn.from_strings(column[place] for place in order) for name, column in texts.items()},
    )
    without = np.setdiff1d(np.arange(len(items)), with_text(items, experiment.text.columns))
    if len(without):
        read = (
            ", ".join(text_columns(items, experiment.text.columns)) or "title, description, …, of which there is none"
        )
        raise UserError(
            f"--items {place}: {len(without):,} of {len(items):,} items have no text, {items.ids[without[0]].item()!r} first; "
            f"the model reads {read}"
        )
    return items


def _like(ids: list[str], ours: list[int | str], place: str) -> np.ndarray:
    """Ids of the kind that the model's are. Raises `UserError`."""
    if isinstance(ours[0], str):
        return np.array(ids, np.str_)
    try:
        return np.array([int(id) for id in ids], np.int64)
    except (ValueError, OverflowError):
        bad = next(id for id in ids if not id.lstrip("-").isdecimal() or abs(int(id)) >= 2**63)
        raise UserError(f"--items {place}: the id {bad!r} is none like the model's, which are whole numbers") from None


def _repeated(ids: np.ndarray) -> list[int | str]:
    found, counts = np.unique(ids, return_counts=True)
    repeated: list[int | str] = found[counts > 1].tolist()
    return repeated


def _joined(catalogue: Catalogue, items: Items) -> Catalogue:
    """The catalogue with items after the last one, which nobody has had."""
    count = len(items)
    new = {name: list(items.columns[name]) if name in items.columns else [""] * count for name in catalogue.columns}
    return Catalogue(
        ids=[*catalogue.ids, *items.ids.tolist()],
        titles=[*catalogue.titles, *(items.title(number) for number in range(1, count + 1))],
        counts=[*catalogue.counts, *[0] * count],
        columns={name: [*texts, *new[name]] for name, texts in catalogue.columns.items()},
    )


def _write_weights(exported: ExportedModel, e_NE: Any, source: Path, target: Path) -> None:
    """Write weights whose table has rows for new items, too."""
    assert exported.text_map is not None, "both files of weights have a map, or none"
    exported.model.add_items(exported.text_map.rows(e_NE))
    _, header = load_checkpoint(source)
    header["item_count"] += len(e_NE)
    save_checkpoint(target, exported.model.state_dict() | with_prefix(TEXT_MAP, exported.text_map.tensors), header)
