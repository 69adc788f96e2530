"""Recommend items with an exported model: `python -m fame.recommend --model DIR --history ID[,ID…]`."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fame.errors import UserError, run_command
from fame.export import ExportedModel, load_model


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One recommended item."""

    id: int | str
    title: str
    score: float


@torch.no_grad()
def recommend(exported: ExportedModel, history: Sequence[int], k: int) -> list[Recommendation]:
    """The k best next items for a history of item numbers, oldest first; items of the history left out."""
    recent = torch.tensor([history[-exported.experiment.data.max_length :]])
    query_1D = exported.model.encode(recent, torch.tensor([recent.shape[1]]))
    scores_V = (query_1D @ exported.model.item_table().T)[0]
    if exported.experiment.evaluate.exclude_seen:
        scores_V[torch.tensor(history) - 1] = float("-inf")
    best = scores_V.topk(min(k, int(torch.isfinite(scores_V).sum())))
    catalogue = exported.catalogue
    return [
        Recommendation(id=catalogue.ids[index], title=catalogue.titles[index], score=score)
        for score, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def history_of_ids(exported: ExportedModel, ids: Sequence[str]) -> list[int]:
    """Item numbers of ids given as text. Raises `UserError` for one that the model does not know."""
    number = {str(id): index for index, id in enumerate(exported.catalogue.ids, start=1)}
    for id in ids:
        if id not in number:
            raise UserError(
                f"--history: the model knows no item '{id}' among its {len(number):,}; "
                f"its ids look like {', '.join(list(number)[:3])}"
            )
    return [number[id] for id in ids]


def history_of_user(exported: ExportedModel, user: str) -> list[int]:
    """Item numbers of everything a user of the training dataset has interacted with."""
    from fame.datasets import load_dataset

    dataset = load_dataset(exported.experiment.data)
    index = dataset.user(user)
    if index is None:
        raise UserError(
            f"--user: {dataset.config.name} has no user '{user}' with enough interactions; "
            f"its ids look like {', '.join(map(str, dataset.user_ids[:3].tolist()))}"
        )
    return dataset.sequences[index].tolist()


def split_ids(text: str) -> list[str]:
    """Ids separated by commas; one that holds a comma itself is put into double quotes."""
    (ids,) = csv.reader([text], skipinitialspace=True)
    return [id.strip() for id in ids if id.strip()]


def main() -> None:
    args = _parser().parse_args()
    if args.top < 1:
        raise UserError(f"--top {args.top}: must be at least 1")
    exported = load_model(args.model)
    if args.user is None:
        history = history_of_ids(exported, split_ids(args.history))
        if not history:
            raise UserError("--history is empty: give at least one item id")
    else:
        history = history_of_user(exported, args.user)
    recent = [exported.catalogue.titles[number - 1] for number in history[-3:]]
    print(f"{len(history)} items in the history, the last: {' → '.join(recent)}")
    for place, item in enumerate(recommend(exported, history, args.top), start=1):
        print(f"{place:3d}  {item.score:8.3f}  {item.id}  {item.title}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fame.recommend", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--history", help="item ids, oldest first, separated by commas")
    who.add_argument("--user", help="a user of the dataset that the model was trained on")
    parser.add_argument("--top", type=int, default=10, help="how many items (default: 10)")
    return parser


if __name__ == "__main__":
    run_command(main)
