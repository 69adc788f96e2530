"""A place for artifacts and leases that several processes reach at once.

`LocalFolder` is one on a file system, shared between nodes or not. It relies on renaming and on creating a file
exclusively. Network file systems have both. It needs no locks of the kernel. `tuning.storage.remote_folder` has object
stores.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint


class Folder(Protocol):
    """The operations that artifacts and leases need from a folder."""

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Write a file that is either whole or not there, in place of one that is."""

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and header; None if there is no such file. Raises `UserError` for a damaged one."""

    def create(self, name: str, text: str) -> bool:
        """Write a small file unless there is one; whether it was written."""

    def rewrite(self, name: str, text: str) -> bool:
        """Change a small file; False if it is gone."""

    def read(self, name: str) -> str | None:
        """A small file's text; None if it is gone."""

    def names(self, prefix: str) -> list[str]:
        """Names of the files that begin so."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class LocalFolder:
    """A `Folder` on a file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        # Under a name of its own first: two processes may, rarely, compute the same.
        own = self.path / f".{name}.{uuid.uuid4().hex}"
        try:
            save_checkpoint(own, tensors, header)
            os.replace(own, self.path / name)
        finally:
            own.unlink(missing_ok=True)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        path = self.path / name
        return load_checkpoint(path) if path.exists() else None

    def create(self, name: str, text: str) -> bool:
        try:
            with (self.path / name).open("x", encoding="utf-8") as file:
                file.write(text)
            return True
        except FileExistsError:
            return False

    def rewrite(self, name: str, text: str) -> bool:
        try:
            with (self.path / name).open("r+", encoding="utf-8") as file:
                file.write(text)
                file.truncate()
            return True
        except FileNotFoundError:
            return False

    def read(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        return [path.name for path in self.path.iterdir() if path.name.startswith(prefix)]

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)
