"""Chooses the columns of a table of interactions, and reads them in chunks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from fame.datasets.entry import Chunk
from fame.datasets.preparation.histories import one_row_each
from fame.errors import UserError
from fame.tables.names import columns_there, find_column, plain_column, repeated
from fame.tables.table import FileTable, TableBatch
from fame.tables.where import RowCondition

ROLES = ("user", "item", "time", "rating")
ITEM_ROLES = ("item_id", "title")
"""Roles of the item table's columns."""
REQUIRED = ("user", "item", "time")
USUAL_NAMES = {
    "user": ("userid", "user"),
    "item": ("itemid", "item", "movieid"),
    "time": ("timestamp", "time", "unixtime", "datetime", "date"),
    "rating": ("rating",),
}
"""Column names that need no `--columns`, compared in lower case without `_`, `-` and blanks, best first."""
USUAL_LISTS = {
    "item": ("itemidlist", "itemids", "itemlist", "items", "itemsequence", "itemhistory", "history", "sequence"),
    "time": ("timestamplist", "timestamps", "timelist", "times"),
    "rating": ("ratinglist", "ratings"),
}
"""The same for columns whose cells are lists."""


def choose_columns(table: FileTable, given: Mapping[str, str] | None) -> dict[str, str]:
    """Column of `table` for each role: those given by name or number, else those with a usual name."""
    given = dict(given or {})
    chosen = {}
    for role, name in given.items():
        if role not in ROLES:
            known = ", ".join((*ROLES, *ITEM_ROLES))
            raise UserError(f"data.columns: unknown role {role!r}; the roles are {known}")
        chosen[role] = find_column(table, name, role)
    if table.headless and not given:
        raise UserError(
            f"{table.name}: the first line looks like a row, not like column names ({table.headless[:80]}); name the columns by number, "
            "for example --columns user=1,item=2,time=3"
        )
    plain = {plain_column(name): name for name in reversed(table.columns)}
    plain_lists = {plain_column(name): name for name in reversed(table.columns) if name in table.lists}
    for role in ROLES:
        if role not in chosen:
            usual = [plain[name] for name in USUAL_NAMES[role] if name in plain]
            usual += [plain_lists[name] for name in USUAL_LISTS.get(role, ()) if name in plain_lists]
            usual = [name for name in usual if name not in chosen.values()]
            chosen |= {role: usual[0]} if usual else {}
        needed = role in REQUIRED and not (role == "time" and chosen.get("item") in table.lists)
        if needed and role not in chosen:
            twice = [name for name in table.repeated if plain_column(name) in USUAL_NAMES[role]]
            if twice:
                raise repeated(table, twice[0], role)
            raise UserError(
                f"{table.name}: which column is the {role}? Name it with --columns {role}=NAME; {columns_there(table)}"
            )
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"data.columns = {given}: the same column is used twice; give each role its own")
    for part in table.parts:
        for role, name in chosen.items():
            if name not in part.columns:
                raise UserError(
                    f"{part.name} has no column {name!r} ({role}), unlike {table.parts[0].name}; {columns_there(part)}"
                )
    return chosen


def read_interactions(
    table: FileTable, columns: Mapping[str, str], with_rating: bool, where: RowCondition | None = None
) -> Iterator[Chunk]:
    """The rows of a table as chunks, `columns` naming the column of each role."""
    if with_rating and "rating" not in columns:
        raise UserError(
            f"data.min_rating needs ratings, and {table.name} has none; "
            f"name the column with --columns rating=NAME ({columns_there(table)})"
        )
    roles = [role for role in (*ROLES, "clock") if role in columns and (role != "rating" or with_rating)]
    needed = list(dict.fromkeys([columns[role] for role in roles] + (where.columns if where else [])))
    batches: Iterable[TableBatch] = table.batches(needed)
    if where:
        batches = where.filter(batches)
    for batch in batches:
        chunk = Chunk(
            user=batch.columns.column(columns["user"]),
            item=batch.columns.column(columns["item"]),
            time=batch.columns.column(columns["time"]) if "time" in columns else None,
            rating=batch.columns.column(columns["rating"]) if with_rating else None,
            clock=batch.columns.column(columns["clock"]) if "clock" in columns else None,
            rows=batch.rows,
        )
        chunk = one_row_each(chunk, batch.rows) if columns["item"] in table.lists else chunk
        yield dataclasses.replace(chunk, read=batch.read, kept=batch.columns.num_rows)
