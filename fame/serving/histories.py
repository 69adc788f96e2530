"""The users' histories in an exported folder: `users.safetensors`.

With it the model recommends to its users without the data that it was trained on. The file holds no more than ids, and may
be removed from a folder that is handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.datasets.dataset import Dataset
from fame.datasets.items import TextColumn, find_id
from fame.errors import UserError

USERS = "users.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories(Sequence[np.ndarray]):
    """Items of U users, oldest first, as numbers of a model's catalogue.

    ids: int64 or text, [U], sorted; values: int32, [P]; offsets: int64, [U + 1].
    """

    ids: np.ndarray
    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, user: int) -> np.ndarray:  # type: ignore[override]
        return self.values[self.offsets[user] : self.offsets[user + 1]]

    def part(self, start: int, stop: int) -> Histories:
        """Users from `start` to `stop`."""
        offsets = self.offsets[start : stop + 1]
        return Histories(
            ids=self.ids[start:stop], values=self.values[offsets[0] : offsets[-1]], offsets=offsets - offsets[0]
        )

    def find(self, id_text: str) -> int | None:
        """Place of the user with this id, given as text; None if there is none."""
        return find_id(self.ids, id_text)

    def of(self, users: Sequence[int]) -> Histories:
        """These users, in order of their ids."""
        chosen = np.unique(np.asarray(users, np.int64))
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Histories(ids=self.ids[chosen], values=self.values[places], offsets=offsets)


def histories_of(dataset: Dataset) -> Histories:
    """Everything that the users of a dataset have done."""
    sequences = dataset.sequences
    return Histories(ids=np.asarray(dataset.user_ids), values=sequences.values, offsets=sequences.offsets)


def write_histories(path: Path, histories: Histories) -> None:
    """Raises `OSError` if it cannot."""
    arrays = {"values": histories.values, "offsets": histories.offsets}
    if histories.ids.dtype.kind == "i":
        arrays["ids"] = histories.ids
    else:
        column = TextColumn.from_strings(histories.ids.tolist())
        arrays |= {"texts": column.data, "text_offsets": column.offsets}
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    save_checkpoint(path, tensors, {})


def read_histories(path: Path, item_count: int) -> Histories:
    """Return the histories that `write_histories` wrote. Raises `UserError` for a file that is damaged or of another catalogue."""
    tensors, _ = load_checkpoint(path)
    arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
    try:
        if "ids" in arrays:
            ids = arrays["ids"]
        else:
            ids = np.array([*TextColumn(data=arrays["texts"], offsets=arrays["text_offsets"])], np.str_)
        values, offsets = arrays["values"], arrays["offsets"]
        whole = len(offsets) == len(ids) + 1 and offsets[0] == 0 and offsets[-1] == len(values)
        if not whole or (np.diff(offsets) < 0).any() or values.min(initial=1) < 1 or values.max(initial=1) > item_count:
            raise ValueError("its parts do not fit together")
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); export the model again, or remove the file") from None
    return Histories(ids=ids, values=values, offsets=offsets)
