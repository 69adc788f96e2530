"""Weights and scores of RecBole 1.2.1's models, to be run by its own interpreter, from the root of the repository:

    VENV/bin/python -m benchmarks.parity.recbole_scores FOLDER

For each case FOLDER gets `NAME.npz`: `items` [B, T] padded on the right with 0 and `lengths` [B] of the histories,
`scores64` and `scores32` [B, V] of the items 1..V in either precision, and the weights under their names with
`weight.` before. Items are RecBole's own numbers, 1..V.

RecBole's BERT4Rec leaves out the oldest item of every history when it puts the mask after it (`item_seq[:, 1:]`). It is
given one more item, in front, so that it reads what it is meant to read. Its bias per item, which ours has not, stays
at its start, 0; all other weights are random numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.parity import BLOCKS, CASES, DIM, HEADS, HISTORIES, INNER, ITEMS, LENGTH, Case
from benchmarks.peers.recbole_epoch import NAME, write_interactions  # says what is missing, if RecBole is

from recbole.config import Config  # isort: skip
from recbole.data import create_dataset  # isort: skip
from recbole.data.interaction import Interaction  # isort: skip
from recbole.utils import get_model  # isort: skip

STD = 0.2
"""Deviation of the weights: large enough for attention to be far from uniform."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the results go")
    folder = parser.parse_args().folder.resolve()
    # RecBole takes the command line for settings of its own
    del sys.argv[1:]
    items, lengths = histories()
    with tempfile.TemporaryDirectory(prefix="recbole-") as scratch, contextlib.chdir(scratch):
        # every item occurs, in a sequence as long as the longest history
        values = np.arange(ITEMS * LENGTH, dtype=np.int32) % ITEMS + 1
        write_interactions(Path(scratch, NAME), values, np.arange(0, len(values) + 1, LENGTH))
        for seed, (name, case) in enumerate(CASES.items()):
            torch.manual_seed(seed)
            model = build(case, scratch)
            weights = {f"weight.{key}": value.numpy().copy() for key, value in model.state_dict().items()}
            found = {f"scores{bits}": scores(model.to(dtype), case, items, lengths) for bits, dtype in PRECISIONS}
            np.savez(folder / f"{name}.npz", items=items, lengths=lengths, **found, **weights)


PRECISIONS = ((64, torch.float64), (32, torch.float32))


def histories() -> tuple[np.ndarray, np.ndarray]:
    """Random ones of every length up to one less than RecBole's longest, which BERT4Rec needs for its mask."""
    draw = np.random.default_rng(0)
    lengths = np.concatenate([np.arange(1, LENGTH), draw.integers(1, LENGTH, HISTORIES - LENGTH + 1)])
    items = draw.integers(1, ITEMS + 1, (HISTORIES, LENGTH - 1))
    return np.where(np.arange(LENGTH - 1) < lengths[:, None], items, 0), lengths


def build(case: Case, folder: str) -> torch.nn.Module:
    """RecBole's model in evaluation mode, its weights random float64."""
    settings = {
        "data_path": folder,
        "gpu_id": "",
        "use_gpu": False,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "train_neg_sample_args": None,
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "embedding_size": DIM,
        "hidden_size": DIM,
        "inner_size": INNER * DIM,
        "n_layers": BLOCKS,
        "n_heads": HEADS,
        **case.recbole_settings,
    }
    config = Config(model=case.recbole, dataset=NAME, config_dict=settings)
    dataset = create_dataset(config).build()[0]  # CORE asks for the longest history of the training part
    assert dataset.item_num == ITEMS + 1, dataset.item_num
    model = get_model(case.recbole)(config, dataset).double().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name != "output_bias":
                weight.normal_(std=STD)
            if "LayerNorm" in name and name.endswith("weight"):
                weight.add_(1)
    return model


@torch.no_grad()
def scores(model: torch.nn.Module, case: Case, items: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the scores of the items 1..V for every history."""
    before = np.ones((len(items), 1 if case.recbole == "BERT4Rec" else 0), dtype=items.dtype)
    rows: dict[str, Any] = {
        model.ITEM_SEQ: torch.from_numpy(np.concatenate([before, items], axis=1)),
        model.ITEM_SEQ_LEN: torch.from_numpy(lengths + before.shape[1]),
    }
    return model.full_sort_predict(Interaction(rows))[:, 1:].numpy()


if __name__ == "__main__":
    main()
