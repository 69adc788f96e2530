"""Where a sweep is kept.

    <storage>/<name>/sweep.yaml    what the sweep is: options, space, data
    <storage>/<name>/study.log     the Optuna study
    <storage>/<name>/tune/         Ray Tune's state
    <storage>/<name>/trials/       checkpoints of the trials
    <storage>/<name>/best/         the exported model
    <storage>/stages/              pre-trained backbones, which all sweeps share; may be removed at any time

With a URI (`s3://…`, `gs://…`) Ray keeps its state and the checkpoints there; the small files that
the driver alone writes stay in `runs/<name>`, and the exported model is copied to the URI.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.config_tree import read_yaml, write_yaml
from fame.errors import UserError

RECORD = "sweep.yaml"
STAGES = "stages"


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The places of one sweep."""

    name: str
    local: Path
    """Folder of the driver's own files."""
    shared: str
    """Path or URI of the folder that all nodes reach."""
    stages: str
    """Path or URI of the folder of shared stages, beside all sweeps."""

    @classmethod
    def of(cls, storage: str, name: str) -> Storage:
        """The places of the sweep `name` under a path or URI."""
        if is_remote(storage):
            local, shared, stages = Path("runs").absolute() / name, below(storage, name), below(storage, STAGES)
            return cls(name=name, local=local, shared=shared, stages=stages)
        folder = root(storage) / name
        return cls(name=name, local=folder, shared=str(folder), stages=str(root(storage) / STAGES))

    @property
    def record(self) -> Path:
        return self.local / RECORD

    @property
    def study(self) -> Path:
        return self.local / "study.log"

    @property
    def best(self) -> Path:
        return self.local / "best"

    @property
    def trials(self) -> str:
        return below(self.shared, "trials")

    @property
    def exists(self) -> bool:
        return self.record.exists()

    def create(self, record: dict[str, Any]) -> None:
        """Make the folder with the sweep's record, whole or not at all."""
        self.local.mkdir(parents=True, exist_ok=True)
        temporary = self.record.with_suffix(".tmp")
        temporary.write_text(write_yaml(record), encoding="utf-8")
        os.replace(temporary, self.record)

    def read_record(self) -> dict[str, Any]:
        return read_yaml(self.record)

    def publish_best(self) -> str:
        """Where the exported model lies, after copying it to remote storage."""
        if not is_remote(self.shared):
            return shown(self.best)
        from pyarrow import fs

        target = below(self.shared, "best")
        try:
            filesystem, path = fs.FileSystem.from_uri(target)
            filesystem.create_dir(path)  # needed where folders are more than a part of a name
            fs.copy_files(str(self.best), path, destination_filesystem=filesystem)
        except OSError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"cannot copy the exported model to {target} ({reason}); it lies at {self.best}") from None
        return target


def is_remote(storage: str) -> bool:
    return "://" in storage and not storage.startswith("file://")


def root(storage: str) -> Path:
    """A local storage's folder."""
    return Path(storage.removeprefix("file://")).expanduser().absolute()


def below(place: str, name: str) -> str:
    """`name` under a path or URI; a URI's query (`?endpoint_override=…`) stays at the end."""
    path, mark, query = place.partition("?") if is_remote(place) else (place, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def check_writable(storage: str) -> None:
    """Raise `UserError` unless files can be made under a path or URI. Leaves nothing behind."""
    try:
        if is_remote(storage):
            from pyarrow import fs

            filesystem, path = fs.FileSystem.from_uri(below(storage, ".writable"))
            filesystem.create_dir(path)
            filesystem.delete_dir(path)
            return
        with leaves_no_empty_folder(root(storage)) as folder, tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"--storage {storage}: cannot write there ({reason}); choose another place") from None


@contextlib.contextmanager
def leaves_no_empty_folder(folder: Path) -> Iterator[Path]:
    """The folder and its parents, made where they are missing; those are removed again if they stay empty."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    finally:
        for parent in made:
            with contextlib.suppress(OSError):  # not made, or in use by now
                parent.rmdir()


def shown(place: str | Path) -> str:
    """A path or URI as it is printed: relative to the working directory if it is below it."""
    if is_remote(str(place)):
        return str(place)
    path, here = root(str(place)), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def newest(storage: str) -> str:
    """Name of the sweep that was started last under a storage."""
    folder = Path("runs").absolute() if is_remote(storage) else root(storage)
    records = sorted(folder.glob(f"*/{RECORD}"), key=lambda record: record.stat().st_mtime)
    if not records:
        raise UserError(f"--resume: there is no sweep under {folder}; start one without --resume")
    return records[-1].parent.name
