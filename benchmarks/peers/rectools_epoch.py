"""Times SASRec of RecTools 0.19.0, with RecTools' own dataset, loaders, model and Lightning's trainer, as a speed peer.

RecTools needs pandas below 3, so it gets an environment of its own (Python 3.11, CPU):

    python3.11 -m venv /tmp/rectools-venv
    /tmp/rectools-venv/bin/pip install torch==2.13.0 'rectools[torch]==0.19.0'
    OMP_NUM_THREADS=1 /tmp/rectools-venv/bin/python -m benchmarks.peers.rectools_epoch --data FOLDER

FOLDER is that of `benchmarks/peers/peer.py`. A step is timed from the batch's arrival to the optimiser's end. RecTools pads every
history to `--max-length` and computes the scores of all items at every position, also where there is only padding. Some
more steps leave these positions out of the loss: `unpadded_…` is what RecTools could take.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.peers.peer import SILENT, meter, options, padded_epoch, read_options, read_sequences

try:
    import numpy as np
    import pandas as pd
    import pytorch_lightning as lightning
    import rectools
    import torch
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.lightning import TransformerLightningModule
except ImportError as error:
    sys.exit(f"{error}; RecTools needs an environment of its own: see the top of {__file__}")

SEED = 2020


class WithoutPadding(TransformerLightningModule):  # type: ignore[misc]
    """Scores the items at the positions that have a target."""

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        items_VD = self.torch_model.item_model.get_all_embeddings()
        real_BT = batch["y"] != 0
        queries_RD = self.torch_model.encode_sessions(batch, items_VD)[real_BT]
        return torch.nn.functional.cross_entropy(queries_RD @ items_VD.T, batch["y"][real_BT])


def main() -> None:
    args = read_options(options(__doc__, batch_size=128, batch="sequences"))
    torch.set_num_threads(args.threads)
    values, offsets = read_sequences(args.data)
    dataset = Dataset.construct(training_part(values, offsets))
    versions = {"rectools": rectools.__version__, "torch": torch.__version__, "pandas": pd.__version__}

    def steps_of(steps: int, padded: bool) -> list[tuple[float, float]]:
        return time_steps(dataset, args, steps, TransformerLightningModule if padded else WithoutPadding)

    print(json.dumps(padded_epoch("rectools_epoch", args, offsets, versions, steps_of)))


def training_part(values: np.ndarray, offsets: np.ndarray) -> pd.DataFrame:
    """All but the last two items of each user; the place in the history serves as time."""
    lengths = np.diff(offsets)
    place = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    table = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(lengths)), lengths),
            "item_id": values,
            "weight": 1.0,
            "datetime": pd.Timestamp("2020-01-01") + pd.to_timedelta(place, "s"),
        }
    )
    return table[place < np.repeat(lengths - 2, lengths)]


def time_steps(dataset: Dataset, args: argparse.Namespace, steps: int, module: type) -> list[tuple[float, float]]:
    """Train some steps of random batches and one before them; return the seconds of each."""
    lightning.seed_everything(SEED)
    seconds: list[tuple[float, float]] = []

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_train_batches=steps + 1,
            callbacks=[meter(lightning.Callback, seconds)],
            **SILENT,
        )

    model = SASRecModel(
        n_blocks=args.layers,
        n_heads=args.heads,
        n_factors=args.dim,
        dropout_rate=0.5,
        session_max_len=args.max_length,
        loss="softmax",
        batch_size=args.batch_size,
        lightning_module_type=module,
        get_trainer_func=trainer,
    )
    model.fit(dataset)
    return seconds


if __name__ == "__main__":
    main()
