"""An exported model that recommends: histories of item numbers in, the k best next items out."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fame.errors import UserError
from fame.index.inverted import INDEX, Index, read_index
from fame.serving.exported import ExportedModel, load_model

if TYPE_CHECKING:
    from fame.datasets import Dataset

SCORES = 1 << 24
"""Most scores (users × items) that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One recommended item."""

    id: int | str
    title: str
    score: float | None
    """None for an item that is recommended because it is popular."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is recommended to one user."""

    items: list[Recommendation]
    """Best first."""
    facets: list[float]
    """The gate's weight of each facet; empty for a model without facets, or without a history to weigh them by."""


class Recommender:
    """An exported model, ready to recommend.

    Letters: B users, T time, D model width, V items.
    """

    def __init__(self, exported: ExportedModel, index: Index | None = None) -> None:
        self.exported, self.index = exported, index
        self.numbers = {str(id): number for number, id in enumerate(exported.catalogue.ids, start=1)}
        with torch.no_grad():
            self.scorer = exported.model.scorer()
        self.popular = torch.tensor(exported.catalogue.counts).argsort(descending=True, stable=True).tolist()

    @property
    def leaves_out(self) -> bool:
        """Whether items of the history are not recommended."""
        return self.exported.experiment.evaluate.exclude_seen

    def number(self, id: Any) -> int | None:
        """The number of an item with this id, which may be given as text; None if the model knows none."""
        return self.numbers.get(id_text(id))

    def recommend(self, histories: Sequence[Sequence[int]], k: int, exclude: Collection[int] = ()) -> list[Answer]:
        """The k best next items for each history of item numbers, oldest first, without those of `exclude`.

        Items of the history are left out if they were in the model's evaluation. Without any, the most popular
        items of the training data are the answer.
        """
        answers = {index: self._popular(k, exclude) for index, history in enumerate(histories) if not history}
        known = [index for index, history in enumerate(histories) if history]
        size = max(1, SCORES // self.scorer.item_count)
        for start in range(0, len(known), size):
            part = known[start : start + size]
            answers |= zip(part, self._best([histories[index] for index in part], k, exclude), strict=True)
        return [answers[index] for index in range(len(histories))]

    @torch.no_grad()
    def queries(self, histories: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None]:
        """Queries [B, D] of histories that are not empty, and the facets' weights [B, H] where there are facets."""
        items_BT, lengths_B = self.rows(histories)
        model = self.exported.model
        if (found := model.facet_queries(items_BT, lengths_B)) is None:
            return model.encode(items_BT, lengths_B), None
        queries_BHD, weights_BH = found
        return torch.einsum("bhd,bh->bd", queries_BHD, weights_BH), weights_BH

    def rows(self, histories: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """What the model reads of histories: item numbers [B, T], padded on the right with 0, and lengths [B]."""
        recent = [torch.tensor(history[-self.exported.experiment.data.max_length :]) for history in histories]
        return torch.nn.utils.rnn.pad_sequence(recent, batch_first=True), torch.tensor([len(row) for row in recent])

    def ranked(
        self, scores_BV: Tensor, histories: Sequence[Sequence[int]], k: int, exclude: Collection[int] = ()
    ) -> list[list[Recommendation]]:
        """The k items with the highest scores, best first, without `exclude` and what is left out of the history.

        Overwrites the scores of those.
        """
        left = [self.scorer.item_count] * len(histories)
        for row, history in enumerate(histories):
            if out := self._left_out(history, exclude):
                scores_BV[row, torch.tensor(list(out)) - 1] = float("-inf")
                left[row] -= len(out)
        best = scores_BV.topk(min(k, self.scorer.item_count))
        rows = zip(best.indices.tolist(), best.values.tolist(), left, strict=True)
        return [
            [self._item(*pair) for pair in zip(indices[:n], values[:n], strict=True)] for indices, values, n in rows
        ]

    def _left_out(self, history: Sequence[int], exclude: Collection[int]) -> set[int]:
        """Items that are not recommended after a history."""
        return {*exclude, *history} if self.leaves_out else {*exclude}

    def _best(self, histories: Sequence[Sequence[int]], k: int, exclude: Collection[int]) -> list[Answer]:
        queries_BD, weights_BH = self.queries(histories)
        if self.index is None:
            items = self.ranked(self.scorer.scores(queries_BD), histories, k, exclude)
        else:
            items = self._near(self.index, queries_BD, histories, k, exclude)
        facets = [[]] * len(histories) if weights_BH is None else weights_BH.tolist()
        return [Answer(items=best, facets=weights) for best, weights in zip(items, facets, strict=True)]

    def _near(
        self, index: Index, queries_BD: Tensor, histories: Sequence[Sequence[int]], k: int, exclude: Collection[int]
    ) -> list[list[Recommendation]]:
        """As `ranked`, by the index."""
        out = [{number - 1 for number in self._left_out(history, exclude)} for history in histories]
        found = index.search(queries_BD, k + max(map(len, out)))
        rows = zip(*found, out, strict=True)
        return [
            [self._item(*pair) for pair in zip(indices, scores, strict=True) if pair[0] not in seen][:k]
            for indices, scores, seen in rows
        ]

    def _popular(self, k: int, exclude: Collection[int]) -> Answer:
        best = itertools.islice((index for index in self.popular if index + 1 not in exclude), k)
        return Answer(items=[self._item(index, None) for index in best], facets=[])

    def _item(self, index: int, score: float | None) -> Recommendation:
        catalogue = self.exported.catalogue
        return Recommendation(id=catalogue.ids[index], title=catalogue.titles[index], score=score)


def load_recommender(folder: Path) -> Recommender:
    """The model of an exported folder, with its index if it has one. Raises `UserError`."""
    exported = load_model(folder)
    if not (folder / INDEX).exists():
        return Recommender(exported)
    with torch.no_grad():
        table_VD = exported.model.item_table()
    return Recommender(exported, read_index(folder, table_VD))


def history_of_ids(recommender: Recommender, ids: Sequence[str]) -> list[int]:
    """Item numbers of ids given as text. Raises `UserError` for one that the model does not know."""
    for id in ids:
        if recommender.number(id) is None:
            raise UserError(
                f"--history: the model knows no item '{id}' among its {len(recommender.numbers):,}; "
                f"its ids look like {', '.join(list(recommender.numbers)[:3])}"
            )
    if not ids:
        raise UserError("--history is empty: give at least one item id")
    return [recommender.number(id) for id in ids]


def history_of_user(dataset: Dataset, user: Any) -> tuple[int | str, list[int]]:
    """The id of a user and the item numbers of all interactions. Raises `UserError` for an unknown user."""
    index = dataset.user(id_text(user))
    if index is None:
        raise UserError(
            f"{dataset.config.name} has no user '{user}' with enough interactions; "
            f"its ids look like {', '.join(map(str, dataset.user_ids[:3].tolist()))}"
        )
    return dataset.user_ids[index : index + 1].tolist()[0], dataset.sequences[index].tolist()


def id_text(id: Any) -> str:
    """The text of an id of a user or an item. A whole number that pandas has made a fraction is that number."""
    return str(int(id)) if isinstance(id, float) and id.is_integer() else str(id)


def split_ids(text: str) -> list[str]:
    """Ids separated by commas; one that holds a comma itself is put into double quotes."""
    (ids,) = csv.reader([text], skipinitialspace=True)
    return [id.strip() for id in ids if id.strip()]
