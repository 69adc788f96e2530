"""Opens the user's tables, whatever their form, and reads interactions and item texts from them.

Arrow parses delimited text and Parquet, DuckDB parses JSON: `docs/DATA.md` has the forms and the rules. Every way in which
a file can be unreadable ends in one `UserError`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fame.datasets.columns import as_array, id_texts, is_text
from fame.datasets.delimited import Reading, open_delimited
from fame.datasets.entry import Chunk, ItemTable
from fame.datasets.histories import one_row_each, parsed
from fame.datasets.json_files import open_json
from fame.datasets.parquet_files import open_parquet
from fame.datasets.places import DataFile
from fame.datasets.tables import Batch, Rows, Table, clear_errors, joined
from fame.datasets.where import Condition
from fame.errors import UserError

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
TITLE_NAMES = (
    "title",
    "name",
    "productname",
    "producttitle",
    "itemname",
    "itemtitle",
    "product",
    "label",
    "titel",
    "bezeichnung",
    "produktname",
    "artikelname",
    "produkt",
    "artikelbezeichnung",
)
"""Names of columns with titles in an item table, compared in the same way."""
ITEM_ID_NAMES = ("item_id", "item", "id")
SEPARATED = {
    ".csv": ",",
    ".tsv": "\t",
    ".tab": "\t",
    ".psv": "|",
    ".txt": "\t",
    ".dat": "\t",
    ".inter": "\t",
    ".item": "\t",
}
"""Suffixes of delimited text, and the separator that each says."""
PARQUET = (".parquet", ".pq", ".parq")
JSON = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def open_table(
    files: Sequence[DataFile], option: str, reading: Reading | None = None, wanted: Sequence[str] = ()
) -> Table:
    """The rows of all files as one table. `wanted`: columns that the user names."""
    reading = reading or Reading()
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise UserError(
            f"{option} names files of different formats: {', '.join(sorted(kinds))}; give one format, for example with "
            "a glob such as FOLDER/*.parquet"
        )
    tables = [_open(file, reading, wanted) for file in files]
    return tables[0] if len(tables) == 1 else joined(f"{files[0].name} and {len(files) - 1} more", tables)


def _kind(file: DataFile) -> str:
    """The format that a file's suffix says; for a file without one, its first bytes."""
    parts = file.base.lower().split(".")
    suffixes = [f".{part}" for part in parts[1:]]
    kind = (
        suffixes[-2] if suffixes[-1:] and suffixes[-1] in COMPRESSED and len(suffixes) > 1 else "".join(suffixes[-1:])
    )
    if kind in SEPARATED or kind in PARQUET or kind in JSON:
        return kind
    if not suffixes:
        with clear_errors(file.name, "a table"), file.stream() as stream:
            head = stream.read(256)
        if head.startswith(b"PAR1"):
            return ".parquet"
        return ".json" if head.lstrip()[:1] in (b"{", b"[") else ".txt"
    known = [*SEPARATED, *PARQUET, *JSON]
    raise UserError(
        f"{file.name}: the suffix {kind} names no known format; use one of {', '.join(known)}, the text formats also "
        f"with {', '.join(COMPRESSED)}"
    )


def _open(file: DataFile, reading: Reading, wanted: Sequence[str]) -> Table:
    kind = _kind(file)
    if kind in SEPARATED:
        table = open_delimited(file, SEPARATED[kind], reading)
    elif kind in PARQUET:
        table = open_parquet(file)
    else:
        table = open_json(file, reading.encoding, [name for name in wanted if name not in file.partition])
    constants = tuple((key, value) for key, value in file.partition.items() if key not in table.columns)
    return dataclasses.replace(table, columns=table.columns + [key for key, _ in constants], constants=constants)


def choose_columns(table: Table, given: Mapping[str, str] | None) -> dict[str, str]:
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
    plain = {_plain(name): name for name in reversed(table.columns)}
    plain_lists = {_plain(name): name for name in reversed(table.columns) if name in table.lists}
    for role in ROLES:
        if role not in chosen:
            usual = [plain[name] for name in USUAL_NAMES[role] if name in plain]
            usual += [plain_lists[name] for name in USUAL_LISTS.get(role, ()) if name in plain_lists]
            usual = [name for name in usual if name not in chosen.values()]
            chosen |= {role: usual[0]} if usual else {}
        needed = role in REQUIRED and not (role == "time" and chosen.get("item") in table.lists)
        if needed and role not in chosen:
            twice = [name for name in table.repeated if _plain(name) in USUAL_NAMES[role]]
            if twice:
                raise _repeated(table, twice[0], role)
            raise UserError(
                f"{table.name}: which column is the {role}? Name it with --columns {role}=NAME; {_there(table)}"
            )
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"data.columns = {given}: the same column is used twice; give each role its own")
    for part in table.parts:
        for role, name in chosen.items():
            if name not in part.columns:
                raise UserError(
                    f"{part.name} has no column {name!r} ({role}), unlike {table.parts[0].name}; {_there(part)}"
                )
    return chosen


def find_column(table: Table, name: str, role: str) -> str:
    """The column with this name or, if there is none, this number. Raises `UserError` if there is neither."""
    if name in table.columns:
        return name
    if name in table.repeated:
        raise _repeated(table, name, role)
    if name.isascii() and name.isdigit() and 1 <= int(name) <= len(table.columns):
        return table.columns[int(name) - 1]
    same = [column for column in table.columns if _plain(column) == _plain(name)]
    if len(same) == 1 and same[0].strip().lower() == name.strip().lower():
        return same[0]
    raise UserError(f"{table.name} has no column {name!r} ({role}); {_there(table)}")


def _repeated(table: Table, name: str, role: str) -> UserError:
    numbers = [
        column.rpartition("(column ")[2].rstrip(")") for column in table.columns if column.startswith(f"{name} (")
    ]
    return UserError(
        f"{table.name}: more than one column is named {name!r}; choose one by its number, for example --columns "
        f"{role}={numbers[0] if numbers else 1}"
    )


def _there(table: Table) -> str:
    one = "; if these are several, say what separates them with --separator" if len(table.columns) == 1 else ""
    return f"columns there: {', '.join(table.columns)[:400]}{one if table.blanks else ''}"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.lower())


def read_interactions(
    table: Table, columns: Mapping[str, str], with_rating: bool, where: Condition | None = None
) -> Iterator[Chunk]:
    """The rows of a table as chunks, `columns` naming the column of each role."""
    if with_rating and "rating" not in columns:
        raise UserError(
            f"data.min_rating needs ratings, and {table.name} has none; "
            f"name the column with --columns rating=NAME ({_there(table)})"
        )
    roles = [role for role in (*ROLES, "clock") if role in columns and (role != "rating" or with_rating)]
    needed = list(dict.fromkeys([columns[role] for role in roles] + (where.columns if where else [])))
    batches: Iterable[Batch] = table.batches(needed)
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
        yield one_row_each(chunk, batch.rows) if columns["item"] in table.lists else chunk


def read_items(table: Table, id_column: str) -> ItemTable:
    """A whole item table as text; a value that is missing is "", a list is its labels joined by `|`."""
    import pyarrow as pa

    ids: list[str] = []
    names = [name for name in table.columns if name != id_column]
    texts: dict[str, list[str]] = {name: [] for name in names}
    with clear_errors(table.name, "an item table"):
        for batch in table.batches(table.columns):
            found = id_texts(batch.columns.column(id_column), "item", batch.rows)
            there = found.is_valid()
            ids.extend(
                text.strip() if table.blanks else text for text in found.filter(there).cast(pa.string()).to_pylist()
            )
            for name in names:
                texts[name].extend(_texts(batch.columns.column(name).filter(there), name in table.lists))
    return ItemTable(ids=ids, columns=texts)


def _texts(column: Any, listed: bool) -> list[str]:
    import pyarrow as pa

    column = as_array(column)
    kind = column.type
    if getattr(kind, "extension_name", "") == "arrow.uuid":
        return id_texts(column, "item", Rows()).fill_null("").to_pylist()
    if pa.types.is_map(kind):
        return ["" if v is None else "|".join(labels(dict(v))) for v in column.to_pylist()]
    if pa.types.is_nested(kind):
        return ["" if v is None else "|".join(labels(v)) for v in column.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return id_texts(column, "item", Rows()).fill_null("").to_pylist()
    if not is_text(kind):
        return column.cast(pa.string()).fill_null("").to_pylist()
    values = column.fill_null("").to_pylist()
    if listed and not any(isinstance(parsed(value), list | tuple) for value in values):
        return ["|".join(value.split()) for value in values]  # a sequence of RecBole's
    nested = (parsed(value) if value[:1] in ("[", "{") else value for value in values)
    return [value if isinstance(value, str) else "|".join(labels(value)) for value in nested]


def labels(value: Any) -> list[str]:
    """The labels in a value: those of a list however deep, the name of a structure that has one, else its fields."""
    if value is None:
        return []
    if isinstance(value, str):
        inner = parsed(value) if value[:1] in ("[", "{") else value
        return [value] * bool(value) if inner is value else labels(inner)
    if isinstance(value, Mapping):
        named = value.get("name")
        if isinstance(named, str) and named:
            return [named]
        return [f"{key}: {', '.join(labels(below))}" for key, below in value.items() if labels(below)]
    if isinstance(value, list | tuple):
        return [label for below in value for label in labels(below)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def item_id_column(table: Table, item_column: str, given: str | None) -> str:
    """Which column of an item table holds the ids: the one given, else one with the name it has in the interactions."""
    if given is not None:
        return find_column(table, given, "item id")
    choices = [item_column, *ITEM_ID_NAMES]
    for name in choices:
        if name in table.columns:
            return name
    plain = {_plain(name): name for name in reversed(table.columns)}
    for name in choices:
        if _plain(name) in plain:
            return plain[_plain(name)]
    raise UserError(
        f"{table.name} has no item id column (one of {', '.join(dict.fromkeys(choices))}); name it with --item-id NAME; "
        f"{_there(table)}"
    )


def guessed_title(columns: Iterable[str]) -> str | None:
    """The column of an item table that holds the titles by its name; None if there is none, or it is called `title`."""
    plain = {_plain(name): name for name in columns}
    found = next((plain[name] for name in TITLE_NAMES if name in plain), None)
    return None if found is None or found.lower() == "title" else found
