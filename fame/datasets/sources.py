"""Where datasets come from: a folder of the user's, the cache, a package, a download, or own files.

`Published` looks in that order. What a place holds may be the published archive, its unpacked folder, or
the prepared form (`NAME/interactions.csv.gz`); the three read the same.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from fame.config import DataConfig, require
from fame.datasets.cache import cache_root
from fame.datasets.download import RemoteFile, download
from fame.datasets.entry import Chunk, DatasetEntry, ItemTable, Raw, Recipe, Report, Source
from fame.datasets.item_tables import guessed_title, item_id_column, read_items
from fame.datasets.layouts import PREPARED, ArchiveFolder, Files, Layout, Zip
from fame.datasets.preparation.interactions import ITEM_ROLES, ROLES, choose_columns, read_interactions
from fame.datasets.sequences import PARTS
from fame.errors import UserError
from fame.registry import datasets
from fame.tables.delimited import Reading, checked_encoding, checked_separator
from fame.tables.formats import open_table
from fame.tables.names import find_column
from fame.tables.places import DataFile, find_files
from fame.tables.table import FileTable
from fame.tables.where import RowCondition


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A data file that an installed package carries."""

    package: str
    file: str
    read: Callable[[IO[bytes]], Raw]

    def source(self) -> Source | None:
        """The file as a source; None where the package is not installed or lacks it."""
        try:
            file = importlib.resources.files(self.package) / self.file
            version = importlib.metadata.version(self.package)
        except ModuleNotFoundError:
            return None
        if not file.is_file():
            return None

        def read() -> Raw:
            with file.open("rb") as stream:
                return self.read(stream)

        return Source(
            description=f"package {self.package} {version}, {self.file}",
            identity=["package", self.package, version, self.file],
            read=read,
        )


@dataclass(frozen=True, kw_only=True)
class Published:
    """Origin of a dataset that somebody publishes as files."""

    files: tuple[RemoteFile, ...]
    layout: Layout
    package: PackageFile | None = None

    def resolve(self, config: DataConfig) -> DataConfig:
        require(config.size is None, "data.size", config.size, f"{config.name} is not generated; remove it")
        return config

    def locate(self, name: str, config: DataConfig, report: Report) -> Source:
        if config.dir is not None:
            return self._in_folder_of_user(name, Path(config.dir).expanduser())
        cached = cache_root() / name
        found = self._look(self._archives(cache_root(), name), [cached])
        if found is None and self.package:
            found = self.package.source()
        if found is None:
            download(name, self.files, cached, report)
            found = self._look(self._archives(cache_root(), name), [cached])
        assert found is not None, f"the layout of {name} does not fit its own files"
        return found

    def _in_folder_of_user(self, name: str, given: Path) -> Source:
        if not given.exists():
            raise UserError(f"data.dir = {str(given)!r}: there is no such folder")
        zips, folders = self._archives(given, name), [given / name, given / "data"]
        # `given` may be the dataset's own folder, under any name that is not another dataset's
        if given.resolve().name not in set(datasets.names()) - {name}:
            folders.append(given)
            zips.append(given)
        found = self._look(zips, folders)
        if found is None:
            wanted = [f.name for f in self.files if f.name.endswith(".zip")]
            wanted += [
                self.layout.interactions,
                f"{name}/{self.layout.interactions}",
                f"{name}/{PREPARED.interactions}",
            ]
            raise UserError(
                f"data.dir = {str(given)!r} does not hold {name}; looked there for {', '.join(wanted)}; "
                "put one of them there, or leave out --data-dir"
            )
        return found

    def _archives(self, folder: Path, name: str) -> list[Path]:
        names = [f.name for f in self.files if f.name.endswith(".zip")]
        return [parent / file for parent in (folder, folder / name) for file in names]

    def _look(self, archives: list[Path], folders: list[Path]) -> Source | None:
        """The first of these places that holds the dataset."""
        places: list[tuple[Path, Files]] = [(a, Zip(a)) for a in archives if a.is_file() and a.suffix == ".zip"]
        places += [(f, ArchiveFolder(f)) for f in folders]
        for layout in (self.layout, PREPARED):
            for path, files in places:
                if files.has(layout.interactions):
                    return Source(
                        description=str(path),
                        identity=["files", layout.interactions, files.identity(layout.names)],
                        read=partial(layout.raw, files),
                    )
        return None


MEANT = ("title", "brand", "categories", "genres")
"""Item columns that the program looks for by name."""


class OwnFiles:
    """Origin of own data: `data.path` and, for item text, `data.items`."""

    def resolve(self, config: DataConfig) -> DataConfig:
        for key in ("dir", "size"):
            value = getattr(config, key)
            require(value is None, f"data.{key}", value, "does not go with data.path (own data); remove one of them")
        return config

    def locate(self, name: str, config: DataConfig, report: Report) -> Source:
        places = _places(config)
        files = {number: find_files(option, place) for number, (option, place) in places.items()}
        item_files = [] if config.items is None else find_files("--items", config.items)

        def read() -> Raw:
            named = {role: name for role, name in (config.columns or {}).items() if role not in ITEM_ROLES}
            parts = [_Part.open(found, places[number][0], number, config, named) for number, found in files.items()]
            notes = list(dict.fromkeys(note for part in parts for note in part.table.notes))
            columns = {role: name for role, name in parts[0].columns.items() if role != "rating" or config.min_rating}

            def items() -> ItemTable | None:
                if config.items is None:
                    return None
                found = own_items(item_files, config, parts[0].columns["item"])
                notes.extend(note for note in found.notes if note not in notes)
                if found.title is not None:
                    columns["title"] = found.title
                return found.table

            return Raw(
                interactions=[file.chunks for part in parts for file in part.files()],
                items=items,
                partial_items=config.items,
                blanks=any(part.table.blanks for part in parts),
                columns=columns,
                notes=lambda: notes,
            )

        settings = [config.columns, config.separator, config.encoding, config.where, config.mixed_times, config.item_id]
        settings += [config.time_format] if config.time_format else []
        found = [file.identity for part in files.values() for file in part]
        identity: list[Any] = ["own", settings, found, [file.identity for file in item_files]]
        if len(files) > 1:
            identity.append({number: len(part) for number, part in files.items()})
        description = ", ".join(place for _, place in places.values())
        return Source(description=description, identity=identity, read=read)


def _places(config: DataConfig) -> dict[int, tuple[str, str]]:
    """Where the interactions lie: the option that names the place, and the place, by the part as in `Chunk.part`."""
    assert config.path is not None
    if config.split.by != "files":
        return {0: ("--data", config.path)}
    held_out = {number: (f"--{part}", getattr(config.split, part)) for number, part in enumerate(PARTS, start=1)}
    return {0: ("--train", config.path)} | {number: one for number, one in held_out.items() if one[1] is not None}


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The table of a part of the interactions."""

    table: FileTable
    columns: dict[str, str]
    condition: RowCondition | None
    number: int
    """Place of the part in a history, as `Chunk.part`."""

    @classmethod
    def open(
        cls, files: list[DataFile], option: str, number: int, config: DataConfig, columns: dict[str, str]
    ) -> _Part:
        table = open_table(files, option, reading(config), list(columns.values()))
        condition = None if config.where is None else RowCondition(config.where, table.columns)
        return cls(table=table, columns=choose_columns(table, columns), condition=condition, number=number)

    def files(self) -> list[_Part]:
        """The part, file by file."""
        return [replace(self, table=replace(self.table, parts=(one,))) for one in self.table.parts] or [self]

    def chunks(self, with_rating: bool) -> Iterator[Chunk]:
        for chunk in read_interactions(self.table, self.columns, with_rating, self.condition):
            yield replace(chunk, part=self.number)


@dataclass(frozen=True, kw_only=True)
class OwnItems:
    """An item table of the user's."""

    table: ItemTable
    title: str | None
    """The column that holds the titles, where it is not called so."""
    notes: list[str]


def own_items(files: list[DataFile], config: DataConfig, item_column: str) -> OwnItems:
    """Read an item table. `item_column`: what the interactions call the ids. Raises `UserError`."""
    named = config.columns or {}
    title, item_id = named.get("title"), named.get("item_id", config.item_id)
    wanted = [name for name in (item_id, title) if name is not None]
    table = open_table(files, "--items", Reading(encoding=config.encoding), wanted)
    found = read_items(table, item_id_column(table, item_column, item_id))
    chosen = guessed_title(found.columns) if title is None else find_column(table, title, "title")
    guess = f"{config.name}: titles are in {chosen!r}; name another column with --columns title=NAME"
    notes = [*table.notes, *([guess] if title is None and chosen is not None else [])]
    return OwnItems(table=_usual_names(found, chosen), title=chosen, notes=notes)


def _usual_names(table: ItemTable, title: str | None) -> ItemTable:
    """The item table with `Title` called `title`: those names mean something, whatever their case."""
    names = {
        name: name.lower() if name.lower() in MEANT and name.lower() not in table.columns else name
        for name in table.columns
    }
    if title is not None:
        names = {name: f"{new} (other)" if new == "title" else new for name, new in names.items()} | {title: "title"}
    return ItemTable(ids=table.ids, columns={names[name]: texts for name, texts in table.columns.items()})


def reading(config: DataConfig) -> Reading:
    """Return the configuration's settings for delimited files."""
    numbers = [name for role, name in (config.columns or {}).items() if role in ROLES]
    numbered = bool(numbers) and all(name.isascii() and name.isdigit() for name in numbers)
    time = (config.columns or {}).get("time")
    return Reading(
        separator=None if config.separator is None else checked_separator(config.separator),
        encoding=None if config.encoding is None else checked_encoding(config.encoding),
        time_position=int(time) - 1 if numbered and time else None,
    )


AS_GIVEN = Recipe(note="nothing but repeats is left out", core=1, min_history=1)
OWN_DATA = DatasetEntry(about="own data", origin=OwnFiles(), recipes={"5-core": Recipe(), "as-given": AS_GIVEN})
SPLIT_DATA = DatasetEntry(
    about="own data, split already", origin=OwnFiles(), recipes={"as-given": AS_GIVEN, "5-core": Recipe()}
)
