"""Files of the user's data: a file, a folder, a glob, several of them, here or in an object store.

Files are read in the order of their paths, and several places in the order given. A folder named `key=value`, as Hive
and Spark write them, gives its files the column `key`.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from fame.errors import UserError
from fame.remote import check_no_secret, explained, is_remote, open_uri
from fame.runtime.provenance import mask_credentials

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Value that Hive writes into a folder's name for a missing one."""
HIDDEN = ("_", ".")
"""Beginnings of names that are marks of the writer, not data: `_SUCCESS`, `.part-0.crc`."""
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
"""First bytes of the compressed formats, and pyarrow's names of them."""
SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One file, local or remote."""

    name: str
    """How to call it in a message."""
    path: str
    """Path in `filesystem`."""
    filesystem: FileSystem | None = None
    """None: this machine."""
    identity: Any = None
    """Changes whenever the file does."""
    partition: dict[str, str | None] = field(default_factory=dict)
    """Columns that the folders' names give, the same for each row."""

    @property
    def base(self) -> str:
        """The file's name without its folder."""
        return self.path.rpartition("/")[2]

    def check_unchanged(self) -> None:
        """Raise `UserError` if a local file is not what was found: it was written again, or is another machine's."""
        if self.filesystem is None and file_identity(Path(self.path)) != self.identity:
            raise UserError(f"{self.name} is not the file that was found at first; start again once it is complete")

    @contextmanager
    def random_access(self) -> Iterator[Any]:
        """The file, to be read at any place."""
        from pyarrow import fs

        with (self.filesystem or fs.LocalFileSystem()).open_input_file(self.path) as file:
            yield file

    def compression(self) -> str | None:
        """How the file is compressed: by its first bytes, in an object store by its suffix, which costs no request."""
        if self.filesystem is not None:
            return next((name for suffix, name in SUFFIXES.items() if self.base.lower().endswith(suffix)), None)
        with self.random_access() as file:
            head = file.read(4)
        return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """The file's content, decompressed, from its beginning."""
        from pyarrow import fs

        system = self.filesystem or fs.LocalFileSystem()
        with system.open_input_stream(self.path, compression=self.compression()) as stream:
            yield stream


def file_identity(path: Path) -> list[Any]:
    """Path, size and time of a file."""
    path = path.resolve()
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]


def split_places(text: str) -> list[str]:
    """The places in `--data a.csv,b.csv`. A comma in the name of a file that exists does not split it."""
    if "," not in text or _exists(text):
        return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def absolute(text: str) -> str:
    """`split_places` with every local path made absolute, as text again."""
    return ",".join(place if is_remote(place) else str(_local(place)) for place in split_places(text))


def plain_name(text: str) -> str | None:
    """A name for the data at a place: that of its file or folder without suffixes."""
    path = split_places(text)[0].partition("?" if is_remote(text) else "\0")[0]
    parts = [part for part in path.split("/") if part and "*" not in part and "=" not in part]
    return parts[-1].split(".")[0] or None if parts else None


def find_files(option: str, text: str) -> list[DataFile]:
    """Every file at the places in `text`. Raises `UserError` where there is none, or an empty one."""
    found = [file for place in split_places(text) for file in _find(option, place)]
    if not found:
        raise UserError(f"{option} {text!r}: no place is named")
    return found


def _find(option: str, place: str) -> list[DataFile]:
    if not is_remote(place):
        return _find_local(place)
    check_no_secret(option, place)
    try:
        return _find_remote(place)
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise UserError(f"{mask_credentials(place)}: {explained(error)}") from None


def _find_local(place: str) -> list[DataFile]:
    path = _local(place)
    if path.is_file():
        return [_local_file(path, path.parent)]
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is neither a file nor a folder; give the data's file, folder or glob")
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if file.is_file() and not _hidden(file.relative_to(path))]
        if not found:
            raise UserError(f"{path} holds no files; give a file, or a folder of CSV, TSV, Parquet or JSON files")
        return [_local_file(file, path) for file in _with_content(found)]
    matches = sorted(glob.glob(str(path), recursive=True)) if _is_glob(place) else []
    files = [Path(match) for match in matches if os.path.isfile(match)]
    if not files:
        raise UserError(f"no such file: {path}" + ("; no file matches it" if _is_glob(place) else ""))
    fixed = Path(re.split(r"[*?\[]", str(path))[0]).parent
    return [_local_file(file, fixed) for file in _with_content(files)]


def _with_content(files: list[Path]) -> list[Path]:
    """The files that are not empty, as Spark writes some; all of them where none has content."""
    return [file for file in files if file.stat().st_size] or files


def _local_file(path: Path, root: Path) -> DataFile:
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; it needs columns and rows")
    return DataFile(
        name=str(path),
        path=str(path),
        identity=file_identity(path),
        partition=_partition(path.parent.relative_to(root).parts),
    )


def _find_remote(place: str) -> list[DataFile]:
    from pyarrow import fs

    uri, mark, query = place.partition("?")
    pattern = ""
    if "*" in uri:
        fixed = uri[: uri.index("*")].rpartition("/")[0]
        system, root = open_uri(fixed + mark + query)
        pattern = root + uri[len(fixed) :]
    else:
        system, root = open_uri(place)
    scheme = uri.partition("://")[0]
    root = root.rstrip("/")
    info = system.get_file_info(root)
    if info.is_file:
        found = [info]
        root = root.rpartition("/")[0]
    else:
        selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
        found = [file for file in system.get_file_info(selector) if file.is_file]
        found = [file for file in found if not _hidden(Path(file.path[len(root) :].lstrip("/")))]
        if pattern:
            found = [file for file in found if fnmatch.fnmatchcase(file.path, pattern)]
    if not found:
        raise UserError(f"no such file: {place}")
    files = []
    for file in sorted(found, key=lambda file: file.path):
        if file.size == 0:
            if len(found) > 1:  # a mark that some programs write for a folder
                continue
            raise UserError(f"{place} is empty; it needs columns and rows")
        files.append(
            DataFile(
                name=f"{scheme}://{file.path}",
                path=file.path,
                filesystem=system,
                identity=[f"{scheme}://{file.path}", query, file.size, file.mtime_ns],
                partition=_partition(file.path[len(root) :].strip("/").split("/")[:-1]),
            )
        )
    return files


def _partition(folders: Any) -> dict[str, str | None]:
    pairs = [folder.partition("=") for folder in folders if "=" in folder.strip("=")]
    return {unquote(key): None if value == NO_VALUE else unquote(value) for key, _, value in pairs}


def _hidden(path: Path) -> bool:
    return any(part.startswith(HIDDEN) for part in path.parts)


def _is_glob(place: str) -> bool:
    return any(mark in place for mark in "*?[")


def _local(place: str) -> Path:
    return Path(os.path.abspath(Path(place.removeprefix("file://")).expanduser()))


def _exists(text: str) -> bool:
    if is_remote(text):
        return False
    path = _local(text)
    return path.exists() or (_is_glob(text) and bool(glob.glob(str(path))))
