"""The result of a stage for the next one, in one checkpoint file with a digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fame.artifacts.folder import Folder
from fame.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A stage's result, and how it came about."""

    tensors: dict[str, Tensor]
    history: list[dict[str, Any]]
    """The stage's epoch reports as plain values; none for a stage without epochs."""
    seconds: float
    """Seconds that the computation took."""

    def save(self, folder: Folder, name: str) -> None:
        header = {"name": name, "history": self.history, "seconds": self.seconds}
        folder.save(name, self.tensors, {**header, "digest": _digest(self.tensors, header)})

    @classmethod
    def load(cls, folder: Folder, name: str) -> Artifact | None:
        """The artifact; None if there is none. Raises `UserError` if it is damaged."""
        found = folder.load(name)
        if found is None:
            return None
        tensors, header = found
        digest = header.pop("digest", None)
        if digest != _digest(tensors, header) or header["name"] != name:
            raise UserError("its content does not have the digest that was written with it")
        return cls(tensors=tensors, history=header["history"], seconds=header["seconds"])


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """SHA-256 of everything; safetensors itself checks sizes, not values."""
    sums = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        sums.update(f"{key} {value.dtype} {list(value.shape)}".encode())
        sums.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return sums.hexdigest()
