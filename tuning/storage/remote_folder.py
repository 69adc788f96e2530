"""Folders of shared files in an object store (`s3://…`, `gs://…`) or on a disk.

Objects appear whole, and a reader sees the last one written. An object store has no "create unless there". So two
processes that ask for a lease at the same moment may both get it. Then both compute the stage with the same result.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fame.artifacts import Folder, LocalFolder
from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.remote import is_remote, open_uri
from tuning.storage.layout import root

SETTLE_SECONDS = 2.0
"""Seconds for which a new lease has to stay the only one. A process that looked earlier has written its own by then."""


def open_folder(place: str) -> Folder:
    """Return the folder at a path or URI."""
    if not is_remote(place):
        return LocalFolder(root(place))
    return RemoteFolder(*open_uri(place))


class RemoteFolder:
    """A `Folder` on any file system of pyarrow."""

    def __init__(self, filesystem: Any, path: str) -> None:
        self.filesystem, self.path = filesystem, path
        filesystem.create_dir(path)  # needed where folders are more than a part of a name

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        from pyarrow import fs

        with tempfile.TemporaryDirectory(prefix="fame-stage-") as folder:
            save_checkpoint(Path(folder) / name, tensors, header)
            fs.copy_files(str(Path(folder) / name), self._at(name), destination_filesystem=self.filesystem)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        from pyarrow import fs

        if not self._exists(name):
            return None
        with tempfile.TemporaryDirectory(prefix="fame-stage-") as folder:
            fs.copy_files(self._at(name), str(Path(folder) / name), source_filesystem=self.filesystem)
            return load_checkpoint(Path(folder) / name)

    def create(self, name: str, text: str) -> bool:
        if self._exists(name):
            return False
        self._write(name, text)
        time.sleep(SETTLE_SECONDS)
        return self.read(name) == text

    def rewrite(self, name: str, text: str) -> bool:
        if not self._exists(name):
            return False
        self._write(name, text)
        return True

    def read(self, name: str) -> str | None:
        try:
            with self.filesystem.open_input_stream(self._at(name)) as file:
                return file.read().decode()
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        from pyarrow import fs

        files = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return [file.base_name for file in files if file.base_name.startswith(prefix)]

    def remove(self, name: str) -> None:
        if self._exists(name):
            self.filesystem.delete_file(self._at(name))

    def _write(self, name: str, text: str) -> None:
        with self.filesystem.open_output_stream(self._at(name)) as file:
            file.write(text.encode())

    def _exists(self, name: str) -> bool:
        return self.filesystem.get_file_info(self._at(name)).is_file

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}"
