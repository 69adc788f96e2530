"""Folders for artifacts, on a file system and in an object store's place."""

from __future__ import annotations

import uuid
from pathlib import Path

import torch

from fame.artifacts import Artifact, Folder, LocalFolder

KINDS = ["local", "remote"]


def folder_of(kind: str, path: Path) -> Folder:
    """A new folder; a remote one lives in pyarrow's file system for tests, in memory."""
    if kind == "local":
        return LocalFolder(path / "stages")
    from pyarrow import fs

    from tuning.storage.remote_folder import RemoteFolder

    return RemoteFolder(*fs.FileSystem.from_uri(f"mock:///{uuid.uuid4().hex}/stages"))


def artifact(value: float = 1.0) -> Artifact:
    return Artifact(
        tensors={"a": torch.full((2, 3), value), "b": torch.tensor(7), "c": torch.ones(3, dtype=torch.bfloat16)},
        history=[{"epoch": 1, "loss": 0.1 + 0.2}],
        seconds=2.5,
    )
