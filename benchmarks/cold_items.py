"""Measures how well new items are recommended: `python -m benchmarks.cold_items --data-dir FOLDER`.

A tenth of the items is hidden from a training that starts items from text. Then the model gets them by their texts
(`fame.serving.new_items`), and ranks the newest item of each user among all items, and among the hidden ones alone. Beside it
stand a training with those items, their cosine to the mean text of the history, and a random order. Popularity knows
nothing of hidden items, so among them it is a random order. Trainings go on where they were interrupted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import fame
from benchmarks.harness import Row, add_tiny, publish
from fame.config import Experiment
from fame.datasets.batches import device_values
from fame.datasets.sequences import Sequences
from fame.errors import run_command
from fame.evaluation.evaluator import Evaluator
from fame.evaluation.metrics import user_metrics
from fame.models.base import PrefixModel, SequentialModel
from fame.runtime.parallel import Workers
from fame.serving.exported import load_model
from fame.serving.new_items import with_new_items
from fame.text.pretrain import text_vectors_of

SHARE, K = 0.1, 10
METRICS = ("ndcg@10", "recall@10")


class MeanText(PrefixModel):
    """An item's score is the product of its text vector with the mean of those of the history."""

    def __init__(self, e_VE: Tensor) -> None:
        super().__init__()
        self.items = nn.Embedding.from_pretrained(torch.cat([e_VE.new_zeros(1, e_VE.shape[1]), e_VE]), padding_idx=0)

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.items(items_BT).sum(1) / lengths_B[:, None]

    def item_table(self) -> Tensor:
        return self.items.weight[1:]


class Ranking:
    """The newest items of all users, in the numbers of one model."""

    def __init__(self, data: fame.Dataset, hidden_V: np.ndarray, numbers_V: np.ndarray, settings: Experiment) -> None:
        values, self.workers = np.append(0, numbers_V)[data.sequences.values], Workers.current()
        sequences = Sequences(
            values=values.astype(np.int32),
            offsets=data.sequences.offsets,
            item_count=len(data.items),
            validation=data.sequences.validation,
            test=data.sequences.test,
        )
        self.evaluator = Evaluator(
            sequences,
            device_values(sequences, self.workers.device),
            "test",
            settings.data.max_length,
            settings.evaluate,
            self.workers,
        )
        self.cold_U = hidden_V[data.sequences.values[data.sequences.offsets[1:] - 1] - 1]
        self.hidden = np.sort(numbers_V[hidden_V] - 1)

    def metrics(self, model: SequentialModel, only: bool = False, cold: bool = True) -> list[float]:
        """Means over users with a hidden target, or with another one; `only`: among the hidden items alone."""
        everything = np.arange(self.evaluator.sequences.item_count)
        self.evaluator.left_out = np.setdiff1d(everything, self.hidden) if only else everything[:0]
        ranks_U = self.evaluator.by_target(self.evaluator.ranks(model))
        chosen_U = torch.from_numpy(self.cold_U == cold)
        return [float(values_U.mean()) for values_U in user_metrics(ranks_U[chosen_U], METRICS).values()]

    def share(self, model: SequentialModel) -> float:
        """Share of hidden items among the first places of all users."""
        self.evaluator.left_out = self.hidden[:0]
        return float(np.isin(self.evaluator.top(model, K).numpy(), self.hidden).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="beauty", help="a dataset whose items have text (default: %(default)s)")
    parser.add_argument("--data-dir", help="folder with the dataset (default: downloaded, or generated)")
    parser.add_argument("--epochs", type=int, default=6, help="of each training (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/cold-items"), help="folder of the trainings (default: %(default)s)"
    )
    add_tiny(parser)
    args = parser.parse_args()
    size = {"size": {"users": 60, "items": 40}} if args.tiny else {}
    settings = {"dim": 8, "max_length": 8} if args.tiny else {}
    data = fame.Dataset.named(
        "synthetic" if args.tiny else args.dataset, **({"dir": args.data_dir} if args.data_dir else size)
    )
    hidden_V = np.zeros(len(data.items), bool)
    hidden_V[np.random.default_rng(0).choice(len(hidden_V), round(SHARE * len(hidden_V)), replace=False)] = True
    interactions, items = tables(data)
    models = {}
    for name, kept_V in {"without": ~hidden_V, "with": np.ones_like(hidden_V)}.items():
        kept = interactions[kept_V[data.sequences.values - 1]]
        part = fame.Dataset.from_pandas(
            kept, user="user", item="item", time="time", items=items[kept_V], name=f"{data.config.name}-{name}", core=1
        )
        epochs, folder = 1 if args.tiny else args.epochs, args.output / name
        models[name] = fame.fit(part, folder=folder, epochs=epochs, text={"plain": True}, threads=1, **settings)
    rows = measured(data, hidden_V, models, items[hidden_V])
    about = {
        "dataset": data.config.name,
        "fingerprint": data.fingerprint,
        "items": len(hidden_V),
        "hidden": int(hidden_V.sum()),
        "epochs": args.epochs,
    }
    publish("cold_items", rows, about, args.tiny)


def tables(data: fame.Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The interactions and the items of a dataset, in its order."""
    interactions = pd.DataFrame(
        {
            "user": np.repeat(data.user_ids, data.sequences.lengths),
            "item": data.items.ids[data.sequences.values - 1],
            "time": np.arange(len(data.sequences.values)),
        }
    )
    return interactions, pd.DataFrame(
        {"item": data.items.ids, **{key: list(texts) for key, texts in data.items.columns.items()}}
    )


@torch.no_grad()
def measured(data: fame.Dataset, hidden_V: np.ndarray, models: dict[str, fame.Model], later: pd.DataFrame) -> list[Row]:
    settings = models["without"].experiment
    with tempfile.TemporaryDirectory() as work:
        later.to_parquet(Path(work) / "new.parquet")
        place = str(Path(work) / "new.parquet")
        with_new_items(models["without"].folder, place, {}, Path(work) / "model", print)
        extended = load_model(Path(work) / "model")
    trained = models["with"].recommender.exported
    _, e_VE = text_vectors_of(settings.text, data.items, torch.device("cpu"), print)
    of = {id: number for number, id in enumerate(extended.catalogue.ids, start=1)}
    numbers_V = np.array([of[id] for id in data.items.ids.tolist()])
    added = Ranking(data, hidden_V, numbers_V, settings)
    plain = Ranking(data, hidden_V, np.arange(1, len(hidden_V) + 1), settings)
    gains = 1 / np.log2(np.arange(K) + 2)
    found = {
        "added by their text": (added, extended.model),
        "text cosine": (plain, MeanText(e_VE)),
        "trained with them": (plain, trained.model),
    }
    rows = []
    for where, only, count in (("all items", False, len(hidden_V)), ("the hidden items", True, int(hidden_V.sum()))):
        for name, (ranking, model) in found.items():
            values = zip(METRICS, ranking.metrics(model, only), strict=True)
            rows += [
                Row(what=f"hidden targets among {where}, {name}: {metric}", value=value) for metric, value in values
            ]
        places = min(K, count)
        random = {"ndcg@10": gains[:places].sum() / count, "recall@10": places / count}
        rows += [
            Row(what=f"hidden targets among {where}, random: {metric}", value=random[metric]) for metric in METRICS
        ]
    for name in ("added by their text", "trained with them"):
        ranking, model = found[name]
        values = zip(METRICS, ranking.metrics(model, cold=False), strict=True)
        rows += [Row(what=f"other targets among all items, {name}: {metric}", value=value) for metric, value in values]
        rows.append(Row(what=f"share of hidden items in the first ten places, {name}", value=ranking.share(model)))
    return rows


if __name__ == "__main__":
    run_command(main)
