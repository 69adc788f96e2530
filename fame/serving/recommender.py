"""An exported model that recommends: requests in, the best next items out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.errors import UserError
from fame.index.inverted import INDEX, Index, read_index
from fame.serving.columns import ItemColumns
from fame.serving.exported import ExportedModel, load_model
from fame.serving.histories import USERS, Histories, histories_of, read_histories
from fame.serving.ranking import NONE, BestItems, History, best_items, by_length, in_order, padded
from fame.serving.request import Answer, Id, Recommendation, Request


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The items that a request allows, by item numbers − 1."""

    top: int
    among: Tensor | None
    """The only items to choose from, rising; None is all."""
    exclude: np.ndarray
    """Items that are left out of all."""
    min_score: float | None
    seen: bool
    """Whether items of the history may be recommended."""
    unknown: list[Id]
    """Ids of the request, without its history, that the model does not know."""


class Recommender:
    """An exported model, ready to recommend.

    Letters: B users, T time, D model width, V items.
    """

    def __init__(self, exported: ExportedModel, index: Index | None = None, folder: Path | None = None) -> None:
        self.exported, self.index, self.folder = exported, index, folder
        catalogue = exported.catalogue
        self.numbers = {str(id): number for number, id in enumerate(catalogue.ids, start=1)}
        with torch.no_grad():
            self.scorer = exported.model.scorer()
        self.columns = ItemColumns(catalogue.columns, len(catalogue.ids))
        self.popular = np.argsort(-np.array(catalogue.counts), kind="stable")
        self.max_length = exported.experiment.data.max_length

    @cached_property
    def users(self) -> Histories:
        """Histories of the users that the model was trained on.

        They are those of the folder, else of its dataset. Raises `UserError` if neither can be read.
        """
        if self.folder is not None and (self.folder / USERS).exists():
            return read_histories(self.folder / USERS, len(self.exported.catalogue.ids))
        from fame.datasets import load_dataset

        return histories_of(load_dataset(self.exported.experiment.data))

    def number(self, id: Any) -> int | None:
        """The number of an item with this id, which may be given as text; None if the model knows none."""
        return self.numbers.get(id_text(id))

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """An answer for each request. Raises `UserError` for a filter on a column that the items do not have."""
        groups: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(request.rule, []).append(place)
        answers: dict[int, Answer] = {}
        for places in groups.values():
            rule = self.rule(requests[places[0]])
            histories = [self.history(requests[place]) for place in places]
            best, weights = self.best([known for known, _ in histories], rule)
            for place, (history, unknown), (items, scores), facets in zip(
                places, histories, best.rows(), weights, strict=True
            ):
                answers[place] = Answer(
                    items=[
                        self._item(*pair)
                        for pair in zip(items, scores if history else [None] * len(items), strict=True)
                    ],
                    facets=facets,
                    unknown=[*unknown, *rule.unknown],
                    popular=not history,
                )
        return [answers[place] for place in range(len(requests))]

    def history(self, request: Request) -> tuple[list[int], list[Id]]:
        """Item numbers of the request's history, and its ids that the model does not know.

        Raises `UserError` for a user where the model's users cannot be read.
        """
        if request.user is None:
            return self.known(request.history), [id for id in request.history if self.number(id) is None]
        place = self.users.find(id_text(request.user))
        return ([], [request.user]) if place is None else (self.users[place].tolist(), [])

    def known(self, ids: Sequence[Id]) -> list[int]:
        """Item numbers of the ids that the model knows."""
        return [number for id in ids if (number := self.number(id)) is not None]

    def rule(self, request: Request) -> Rule:
        """Return the items that a request allows. Raises `UserError` for a filter on a column that the items do not have."""
        exclude = np.unique(np.array(self.known(request.exclude), np.int64)) - 1
        among = None
        if request.candidates is not None or request.where:
            allowed_V = self.columns.matching(request.where)
            if request.candidates is not None:
                chosen = np.array(self.known(request.candidates), np.int64) - 1
                allowed_V &= np.isin(np.arange(len(allowed_V)), chosen)
            allowed_V[exclude] = False
            among, exclude = torch.from_numpy(np.flatnonzero(allowed_V)), exclude[:0]
        seen = not self.exported.experiment.evaluate.exclude_seen if request.seen is None else request.seen
        named = [*(request.candidates or ()), *request.exclude]
        return Rule(
            top=request.top,
            among=among,
            exclude=exclude,
            min_score=request.min_score,
            seen=seen,
            unknown=[id for id in named if self.number(id) is None],
        )

    @torch.no_grad()
    def best(self, histories: Sequence[History], rule: Rule) -> tuple[BestItems, list[list[float]]]:
        """The best items for histories of item numbers, oldest first, and the weights of their facets.

        An empty history gets the most popular items, with the score −∞.
        """
        most = self.scorer.item_count if rule.among is None else len(rule.among)
        top = min(rule.top, most)
        items = np.full((len(histories), top), NONE, np.int64)
        scores = np.full((len(histories), top), -np.inf)
        weights: list[list[float]] = [[] for _ in histories]
        there = [place for place, history in enumerate(histories) if len(history)]
        if there and top:
            found, weights_BH = self._best([histories[place] for place in there], top, rule)
            items[there], scores[there] = found.items, found.scores
            if weights_BH is not None:
                for place, row in zip(there, weights_BH.tolist(), strict=True):
                    weights[place] = row
        if rule.min_score is not None:
            items[scores < rule.min_score] = NONE
        elif len(there) < len(histories):
            popular = self._popular(rule)[:top]
            items[[not len(history) for history in histories], : len(popular)] = popular
        return BestItems(items=items, scores=scores), weights

    @torch.no_grad()
    def queries(self, histories: Sequence[History]) -> tuple[Tensor, Tensor | None]:
        """Queries [B, D] of histories that are not empty, and the facets' weights [B, H] where there are facets."""
        model, groups = self.exported.model, by_length(histories, self.max_length)
        weights: list[Tensor] = []

        def encode(group: np.ndarray) -> Tensor:
            items_BT, lengths_B = self.rows([histories[place] for place in group])
            if (found := model.facet_queries(items_BT, lengths_B)) is None:
                return model.encode(items_BT, lengths_B)
            queries_BHD, weights_BH = found
            weights.append(weights_BH)
            return torch.einsum("bhd,bh->bd", queries_BHD, weights_BH)

        queries_BD = in_order(groups, encode)
        return queries_BD, in_order(groups, lambda _: weights.pop(0)) if weights else None

    def rows(self, histories: Sequence[History]) -> tuple[Tensor, Tensor]:
        """Return the model's input for histories: item numbers [B, T], padded on the right with 0, and lengths [B]."""
        return padded(histories, self.max_length)

    def ranked(self, scores_1V: Tensor, history: History, k: int) -> list[Recommendation]:
        """The k items with the highest scores, best first, without those of the history where they are left out."""
        seen = np.array(history) - 1 if self.exported.experiment.evaluate.exclude_seen else np.zeros(0, np.int64)
        scores_1V[:, torch.from_numpy(seen)] = float("-inf")
        best = scores_1V[0].topk(min(k, self.scorer.item_count - len(np.unique(seen))))
        return [self._item(*pair) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def _best(self, histories: list[History], top: int, rule: Rule) -> tuple[BestItems, Tensor | None]:
        queries_BD, weights_BH = self.queries(histories)
        own = [np.empty(0, np.int64) if rule.seen else np.asarray(history) for history in histories]
        excluded = [np.concatenate([items, rule.exclude + 1]) for items in own] if len(rule.exclude) else own
        if self.index is not None and rule.among is None:
            found = self._near(self.index, queries_BD, excluded, top)
        else:
            found = best_items(self.scorer, queries_BD, top, excluded, rule.among)
        return found, weights_BH

    def _near(self, index: Index, queries_BD: Tensor, excluded: Sequence[np.ndarray], top: int) -> BestItems:
        """`best_items`, by the index; by exact scores where its groups hold too few items."""
        items = np.full((len(excluded), top), NONE, np.int64)
        scores = np.full((len(excluded), top), -np.inf)
        found = index.search(queries_BD, top + max(map(len, excluded)))
        for row, (places, values, out) in enumerate(zip(*found, excluded, strict=True)):
            hidden = set((out - 1).tolist())
            kept = [pair for pair in zip(places, values, strict=True) if pair[0] not in hidden][:top]
            if len(kept) < min(top, self.scorer.item_count - len(hidden)):
                exact = best_items(self.scorer, queries_BD[row : row + 1], top, [out])
                items[row], scores[row] = exact.items[0], exact.scores[0]
            elif kept:
                items[row, : len(kept)], scores[row, : len(kept)] = zip(*kept, strict=True)
        return BestItems(items=items, scores=scores)

    def _popular(self, rule: Rule) -> np.ndarray:
        """Allowed items, the most popular first."""
        if rule.among is None:
            return self.popular[~np.isin(self.popular, rule.exclude)]
        return self.popular[np.isin(self.popular, rule.among.numpy())]

    def _item(self, index: int, score: float | None) -> Recommendation:
        catalogue = self.exported.catalogue
        return Recommendation(id=catalogue.ids[index], title=catalogue.titles[index], score=score)


def load_recommender(folder: Path) -> Recommender:
    """The model of an exported folder, with its index if it has one. Raises `UserError`."""
    exported = load_model(folder)
    if not (folder / INDEX).exists():
        return Recommender(exported, folder=folder)
    with torch.no_grad():
        table_VD = exported.model.item_table()
    return Recommender(exported, read_index(folder, table_VD), folder)


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
    return recommender.known(ids)


def history_of_user(recommender: Recommender, user: Any) -> tuple[Id, list[int]]:
    """The id of a user of the training data and the item numbers of all interactions. Raises `UserError`."""
    users = recommender.users
    place = users.find(id_text(user))
    if place is None:
        raise UserError(
            f"{recommender.exported.experiment.data.name} has no user '{user}' with enough interactions; "
            f"its ids look like {', '.join(map(str, users.ids[:3].tolist()))}"
        )
    return users.ids[place : place + 1].tolist()[0], users[place].tolist()


def id_text(id: Any) -> str:
    """The text of an id of a user or an item. A whole number that pandas has made a fraction is that number."""
    return str(int(id)) if isinstance(id, float) and id.is_integer() else str(id)


def split_ids(text: str) -> list[str]:
    """Ids separated by commas; one that holds a comma itself is put into double quotes."""
    (ids,) = csv.reader([text], skipinitialspace=True)
    return [id.strip() for id in ids if id.strip()]
