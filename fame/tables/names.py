"""Finds a column of a table by its name or its number."""

from __future__ import annotations

import re

from fame.errors import UserError
from fame.tables.table import FileTable


def find_column(table: FileTable, name: str, role: str) -> str:
    """The column with this name or, if there is none, this number. Raises `UserError` if there is neither."""
    if name in table.columns:
        return name
    if name in table.repeated:
        raise repeated(table, name, role)
    if name.isascii() and name.isdigit() and 1 <= int(name) <= len(table.columns):
        return table.columns[int(name) - 1]
    same = [column for column in table.columns if plain_column(column) == plain_column(name)]
    if len(same) == 1 and same[0].strip().lower() == name.strip().lower():
        return same[0]
    raise UserError(f"{table.name} has no column {name!r} ({role}); {columns_there(table)}")


def repeated(table: FileTable, name: str, role: str) -> UserError:
    """The error for a name that several columns have."""
    numbers = [
        column.rpartition("(column ")[2].rstrip(")") for column in table.columns if column.startswith(f"{name} (")
    ]
    return UserError(
        f"{table.name}: more than one column is named {name!r}; choose one by its number, for example --columns "
        f"{role}={numbers[0] if numbers else 1}"
    )


def columns_there(table: FileTable) -> str:
    one = "; if these are several, say what separates them with --separator" if len(table.columns) == 1 else ""
    return f"columns there: {', '.join(table.columns)[:400]}{one if table.blanks else ''}"


def plain_column(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.lower())
