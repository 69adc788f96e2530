"""The places of a sweep's files.

    <storage>/<name>/sweep.yaml    the sweep's options, space and data
    <storage>/<name>/study.log     the Optuna study, and study.log.copy
    <storage>/<name>/tune/<name>/  Ray Tune's state
    <storage>/<name>/trials/       checkpoints of the trials
    <storage>/<name>/final/        the best configurations again, with several seeds: laid out like this folder
    (after each extension of the sweep tune/ and final/ have folders of their own: <name>-1, final-1)
    <storage>/<name>/best/         the exported model
    <storage>/<name>/report.html   the sweep as a page (with a URI it stays in `runs/<name>`, and is in MLflow)
    <storage>/<name>/curves.png    the learning curves as a picture, also in MLflow
    <storage>/stages/              results of stages that all sweeps share; may be removed at any time

With a URI (`s3://…`, `gs://…`) all of it lies there. The driver works on a copy of the study and of the exported model in
`runs/<name>`, and `tuning.study.mirror` copies the study to the URI. A sweep can continue from the URI alone.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.config.tree import parse_yaml, read_yaml, write_yaml
from fame.errors import UserError
from fame.remote import check_no_secret, explained, is_remote
from fame.runtime.files import replaced
from tuning.storage import object_store

RECORD = "sweep.yaml"
COPY_OF = "remote.yaml"
"""File in a working copy with the URI that it is a copy of."""
STAGES = "stages"
TUNE = "tune"
"""Folder of Tune's own state."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The places of one sweep's files."""

    name: str
    local: Path
    """Folder of the driver's own files."""
    shared: str
    """Path or URI of the folder that all nodes reach."""
    stages: str
    """Path or URI of the folder of shared stages, beside all sweeps."""
    extended: int = 0
    """How often the sweep got other limits. Each time it has a new last step, and a new state of Tune."""

    @classmethod
    def of(cls, storage: str, name: str) -> Storage:
        """Return the places of the sweep `name` under a path or URI. Raises `UserError` if it holds a secret."""
        if is_remote(storage):
            check_no_secret("--storage", storage)
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
    def report(self) -> Path:
        return self.local / "report.html"

    @property
    def curves(self) -> Path:
        return self.local / "curves.png"

    @property
    def final(self) -> Storage:
        """The places of the sweep's last step (`tuning.results.final`), which has files like a sweep."""
        folder = numbered("final", self.extended)
        return Storage(name=self.name, local=self.local / folder, shared=below(self.shared, folder), stages=self.stages)

    @property
    def tune(self) -> str:
        """Name of Tune's run, which is unique in Ray: sweeps that start in the same second would share a default."""
        return numbered(self.name, self.extended)

    @property
    def trials(self) -> str:
        return below(self.shared, "trials")

    @property
    def exists(self) -> bool:
        """Whether the sweep was started. Raises `UserError` if the storage does not answer."""
        if not is_remote(self.shared):
            return self.record.exists()
        with object_store.one_line(f"--storage {self.shared}"):
            return object_store.read(below(self.shared, RECORD)) is not None

    def check_local(self) -> None:
        """Raise `UserError` if the folder of the driver's own files belongs to another sweep."""
        if not is_remote(self.shared):
            return
        origin = self.local / COPY_OF
        if self.record.exists() or (origin.exists() and read_yaml(origin) != self._origin):
            raise UserError(
                f"{shown(self.local)} belongs to another sweep called '{self.name}'; choose another --name, or another "
                "working directory"
            )

    def check_owner(self) -> None:
        """Raise `UserError` if another user could have put code into the files that Ray reads on --resume.

        An object store does not tell who wrote a file: there the bucket's rights decide.
        """
        if is_remote(self.shared):
            return
        state = self.local / TUNE
        with tempfile.TemporaryFile(dir=self.local) as file:  # on some mounts all files have one owner
            mine = os.fstat(file.fileno()).st_uid
        for path in (self.local, state, *state.glob("*"), *state.glob("*/*")):
            if path.exists() and path.stat().st_uid != mine:
                raise UserError(
                    f"{shown(path)} belongs to another user, and what Ray keeps there is code to whoever goes on with "
                    "the sweep; if you trust all of it, make it your own with chown -R"
                )

    def create(self, record: dict[str, Any]) -> None:
        """Write the sweep's record, whole or not at all."""
        text = write_yaml(record)
        if is_remote(self.shared):
            self.make_local()
            with object_store.one_line(f"--storage {self.shared}"):
                object_store.write(below(self.shared, RECORD), text.encode())
        else:
            _write(self.record, text)

    def make_local(self) -> None:
        """Make the folder of the driver's own files for a sweep at a URI."""
        _write(self.local / COPY_OF, write_yaml(self._origin))

    def read_record(self) -> dict[str, Any]:
        """Return the sweep's record. Raises `UserError` if it cannot be read."""
        if not is_remote(self.shared):
            return read_yaml(self.record)
        place = below(self.shared, RECORD)
        with object_store.one_line(f"--storage {self.shared}"):
            content = object_store.read(place)
        return parse_yaml(content or b"", place)

    def publish_best(self) -> str:
        """Copy the exported model to remote storage, and return its place."""
        if not is_remote(self.shared):
            return shown(self.best)
        target = below(self.shared, "best")
        try:
            object_store.copy_folder(self.best, target)
        except OSError as error:
            raise UserError(
                f"cannot copy the exported model to {target} ({explained(error)}); it lies at {self.best}"
            ) from None
        return target

    @property
    def _origin(self) -> dict[str, str]:
        return {"storage": self.shared.partition("?")[0]}


def numbered(name: str, extended: int) -> str:
    """Return the name of a folder of a sweep that was so often extended."""
    return f"{name}-{extended}" if extended else name


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write_text(text, encoding="utf-8")


def root(storage: str) -> Path:
    """Return a local storage's folder."""
    return Path(storage.removeprefix("file://")).expanduser().absolute()


def below(place: str, name: str) -> str:
    """Return `name` under a path or URI. A URI's query (`?endpoint_override=…`) stays at the end."""
    path, mark, query = place.partition("?") if is_remote(place) else (place, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def check_writable(storage: str) -> None:
    """Raise `UserError` unless files can be written under a path or URI. Leaves nothing behind."""
    try:
        if is_remote(storage):
            object_store.check_writable_uri(below(storage, f".writable-{uuid.uuid4().hex}"))
            return
        with leaves_no_empty_folder(root(storage)) as folder, tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or explained(error)
        raise UserError(f"--storage {storage}: cannot write there ({reason}); choose another place") from None


@contextlib.contextmanager
def leaves_no_empty_folder(folder: Path) -> Iterator[Path]:
    """Make a folder and its parents. Folders that were made and stay empty are removed at the end."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    finally:
        for parent in made:
            with contextlib.suppress(OSError):  # not made, or in use by now
                parent.rmdir()


def shown(place: str | Path) -> str:
    """Return a path or URI to print: relative to the working directory if it is below it."""
    if is_remote(str(place)):
        return str(place)
    path, here = root(str(place)), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def sweeps_in(storage: str) -> dict[str, float]:
    """Return the names of the sweeps under a storage, and when each was started or extended."""
    if not is_remote(storage):
        return {record.parent.name: record.stat().st_mtime for record in root(storage).glob(f"*/{RECORD}")}
    check_no_secret("--storage", storage)
    with object_store.one_line(f"--storage {storage}"):
        return object_store.times(storage, RECORD)


def newest(storage: str) -> str:
    """Return the name of the newest sweep under a storage."""
    times = sweeps_in(storage)
    if not times:
        raise UserError(f"--resume: there is no sweep under {shown(storage)}; start one without --resume")
    return max(times, key=times.__getitem__)
