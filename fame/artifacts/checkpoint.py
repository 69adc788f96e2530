"""A training's state in one file that is either whole or not there.

Tensors and a JSON header (as safetensors metadata) go to a temporary file, which then replaces the target. So a reader
sees the old state or the new one. Reading never runs code from the file. The library writes a file from two copies of
all its tensors, and a table of ten million items is large. So it is written here, a tensor at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.errors import UserError
from fame.runtime.files import replaced
from fame.runtime.sharding import Shard

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names of the safetensors format."""


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor | Shard], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-serialisable header atomically. Raises `OSError` if it cannot.

    Of tensors whose rows lie on several workers the others send theirs at the same time (`send_shards`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        try:
            write_tensors(temporary, tensors, {"header": json.dumps(header)})
        except OSError as error:
            error.filename = str(path)
            raise
    sync_folder(path.parent)


def send_shards(tensors: Mapping[str, Tensor | Shard]) -> None:
    """Send the first worker this one's rows of the tensors that it saves."""
    for _, tensor in _ordered(tensors):
        if isinstance(tensor, Shard):
            tensor.send()


def write_tensors(path: Path, tensors: Mapping[str, Tensor | Shard], metadata: Mapping[str, str]) -> None:
    """Write a file in the format of safetensors: the length of the head, the head as JSON, the tensors' bytes."""
    head: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for key, tensor in _ordered(tensors):
        begin, end = end, end + tensor.numel() * tensor.element_size()
        head[key] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in _ordered(tensors):
            for piece in tensor.pieces() if isinstance(tensor, Shard) else [tensor]:
                file.write(piece.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())


def _ordered(tensors: Mapping[str, Tensor | Shard]) -> list[tuple[str, Tensor | Shard]]:
    """The largest numbers first, so that each tensor begins at a multiple of its number's size."""
    return sorted(tensors.items(), key=lambda pair: -pair[1].element_size())


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, after their contents."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and header. Raises `UserError` for a file that is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["header"])
            return {key: file.get_tensor(key) for key in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"no such checkpoint: {path}") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a checkpoint of this program, or is damaged: {error}") from None


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as flat tensors, `0.exp_avg` and so on."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, slots in state.items() for name, value in slots.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; hyper-parameters stay those of `optimizer`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
