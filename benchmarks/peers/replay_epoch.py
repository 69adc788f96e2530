"""Times SASRec of RePlay 0.22.0, with RePlay's own loader, model and Lightning's trainer, as a speed peer.

RePlay needs pandas below 3, so it gets an environment of its own (Python 3.11, CPU):

    python3.11 -m venv /tmp/replay-venv
    /tmp/replay-venv/bin/pip install torch==2.13.0 'replay-rec[torch]==0.22.0'
    OMP_NUM_THREADS=1 /tmp/replay-venv/bin/python -m benchmarks.peers.replay_epoch --data FOLDER

FOLDER is that of `benchmarks/peers/peer.py`. A step is timed from the batch's arrival to the optimiser's end. RePlay pads every
history to `--max-length` and computes the scores of all items at every position, also where there is only padding. Some
more steps leave these positions out of the loss: `unpadded_…` is what RePlay could take.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import SILENT, meter, options, padded_epoch, read_options, read_sequences

try:
    import lightning
    import numpy as np
    import pyarrow as pa
    import torch
    from pyarrow import parquet
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.nn.lightning import LightningModule
    from replay.nn.loss import CE
    from replay.nn.sequential import SasRec
    from replay.nn.transform.template import make_default_sasrec_transforms
except ImportError as error:
    sys.exit(f"{error}; RePlay needs an environment of its own: see the top of {__file__}")

SEED = 2020
ITEM = "item_id"


class WithoutPadding(CE):  # type: ignore[misc]
    """Scores the items at the positions that have a target."""

    def forward(self, model_embeddings: torch.Tensor, **batch: Any) -> torch.Tensor:
        real_BT = batch["target_padding_mask"][..., 0]
        scores_RV = self.logits_callback(model_embeddings[real_BT])
        return torch.nn.functional.cross_entropy(scores_RV, batch["positive_labels"][..., 0][real_BT])


def main() -> None:
    args = read_options(options(__doc__, batch_size=128, batch="sequences"))
    torch.set_num_threads(args.threads)
    values, offsets = read_sequences(args.data)
    versions = {"replay": version("replay-rec"), "torch": torch.__version__}
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        path = str(Path(folder, "train.parquet"))
        ends = (offsets[1:] - 2).clip(offsets[:-1])  # the last two are for validation and test
        lists = [values[start:end].astype(np.int64) - 1 for start, end in zip(offsets[:-1], ends, strict=True)]
        parquet.write_table(pa.table({ITEM: pa.array(lists, pa.list_(pa.int64()))}), path)
        schema = schema_of(int(values.max()), args.dim)

        def steps_of(steps: int, padded: bool) -> list[tuple[float, float]]:
            return time_steps(path, schema, args, steps, None if padded else WithoutPadding())

        print(json.dumps(padded_epoch("replay_epoch", args, offsets, versions, steps_of)))


def schema_of(items: int, dim: int) -> TensorSchema:
    """One sequence of items; the padding's number follows theirs."""
    return TensorSchema(
        TensorFeatureInfo(
            name=ITEM,
            feature_type=FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)],
            cardinality=items,
            padding_value=items,
            embedding_dim=dim,
        )
    )


def time_steps(
    path: str, schema: TensorSchema, args: argparse.Namespace, steps: int, loss: CE | None = None
) -> list[tuple[float, float]]:
    """Train some steps of random batches and one before them; return the seconds of each."""
    lightning.seed_everything(SEED)
    seconds: list[tuple[float, float]] = []
    model = SasRec.from_params(
        schema,
        embedding_dim=args.dim,
        num_heads=args.heads,
        num_blocks=args.layers,
        max_sequence_length=args.max_length,
        dropout=0.5,
    )
    if loss is not None:
        model.loss = loss
        loss.logits_callback = model.get_logits
    data = ParquetModule(
        batch_size=args.batch_size,
        # One item more than the model reads: the transform takes the targets from the same history.
        metadata={"train": {ITEM: {"shape": args.max_length + 1, "padding": schema[ITEM].padding_value}}},
        transforms={"train": make_default_sasrec_transforms(schema)["train"]},
        train_path=path,
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=steps + 1,
        limit_val_batches=0,
        callbacks=[meter(lightning.Callback, seconds)],
        **SILENT,
    )
    trainer.fit(LightningModule(model), datamodule=data)
    return seconds


if __name__ == "__main__":
    main()
