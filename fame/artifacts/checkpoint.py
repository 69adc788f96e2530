"""A training's state in one file that is either whole or not there.

Tensors and a JSON header (as safetensors metadata) go to a temporary file beside the target, which
then replaces it: a reader sees the old state or the new one. Reading never runs code from the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.errors import UserError
from fame.runtime.files import as_created, replaced


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-serialisable header atomically. Raises `OSError` if it cannot."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        own = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        try:
            save_file(own, temporary, metadata={"header": json.dumps(header)})
        except SafetensorError as error:
            raise _os_error(error, path) from error
        as_created(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, after their contents."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _os_error(error: Exception, path: Path) -> Exception:
    """The error of the operating system that safetensors has put into words, such as that a disk is full."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return error if found is None else OSError(int(found[1]), os.strerror(int(found[1])), str(path))


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
