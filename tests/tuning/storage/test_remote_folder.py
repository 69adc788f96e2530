"""Shared stages in an object store."""

from __future__ import annotations

import torch

from tuning.storage.remote_folder import open_folder


def test_stages_are_shared_there(store: str) -> None:
    folder = open_folder(store)
    folder.save("a.safetensors", {"weights": torch.arange(3.0)}, {"name": "a"})
    tensors, header = folder.load("a.safetensors")
    assert tensors["weights"].tolist() == [0, 1, 2] and header == {"name": "a"}
    assert folder.load("b.safetensors") is None and folder.names("a") == ["a.safetensors"]
