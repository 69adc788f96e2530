"""Requests: whatever is asked, the answer is the head of what a naive sort of all allowed items gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.models.fame import Fame, FameConfig
from fame.serving import ranking
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.ranking import NONE, best_items, by_length, highest, padded
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tests.fame.helpers import randomise

ITEMS, LENGTH = 40, 5
BRANDS = ["", "Acme", "Zest|Acme", "Zest"]
COLUMNS = {
    "brand": [BRANDS[item % 4] for item in range(ITEMS)],
    "price": [str(item / 2) if item % 7 else "unknown" for item in range(ITEMS)],
}


def recommender(exclude_seen: bool = True) -> Recommender:
    model = randomise(Fame(FameConfig(dim=6, heads=2, experts=2, inner=2), ITEMS, LENGTH), 0)
    tree = {"data": {"max_length": LENGTH}, "evaluate": {"exclude_seen": exclude_seen}}
    ids = [f"i{item}" for item in range(ITEMS)]
    catalogue = Catalogue(ids=ids, titles=ids, counts=[(item * 7) % ITEMS for item in range(ITEMS)], columns=COLUMNS)
    return Recommender(ExportedModel(model=model, experiment=experiment_from_dict(tree), catalogue=catalogue))


SERVER = recommender()


def naive(request: Request, exclude_seen: bool = True) -> tuple[list[str], list[float | None]]:
    """All items one by one, without any of the program's shortcuts."""
    known = [int(id[1:]) for id in request.history if id[1:].isdigit() and int(id[1:]) < ITEMS]
    model = SERVER.exported.model
    if known:
        newest = torch.tensor([[item + 1 for item in known[-LENGTH:]]])
        with torch.no_grad():
            scores = (model.encode(newest, torch.tensor([newest.shape[1]])) @ model.item_table().T)[0].tolist()
    else:
        scores = [float(count) for count in SERVER.exported.catalogue.counts]

    def allowed(item: int) -> bool:
        id = f"i{item}"
        if request.candidates is not None and id not in request.candidates:
            return False
        if id in request.exclude or (known and item in known and not (request.seen or not exclude_seen)):
            return False
        for column, wanted in request.where.items():
            text = COLUMNS[column][item]
            if isinstance(wanted, dict):
                number = float(text) if text != "unknown" else float("nan")
                if not wanted.get("min", -1e9) <= number <= wanted.get("max", 1e9):
                    return False
            elif not set(wanted if isinstance(wanted, list) else [wanted]) & {*text.split("|"), text}:
                return False
        return request.min_score is None or (bool(known) and scores[item] >= request.min_score)

    order = sorted(filter(allowed, range(ITEMS)), key=lambda item: -scores[item])[: request.top]
    return [f"i{item}" for item in order], [scores[item] if known else None for item in order]


ids = st.sampled_from([f"i{item}" for item in range(ITEMS)] + ["nobody"])
wanted: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "brand": st.sampled_from(["Acme", "Zest", ["Acme", "Zest"], "None such", "Zest|Acme"]),
        "price": st.sampled_from([{"min": 3}, {"max": 9.5}, {"min": 3, "max": 12}]),
    },
)
requests = st.builds(
    Request,
    history=st.lists(ids, max_size=9),
    top=st.integers(1, ITEMS + 3),
    candidates=st.none() | st.lists(ids, max_size=20),
    exclude=st.lists(ids, max_size=6),
    where=wanted,
    min_score=st.none() | st.floats(-0.5, 0.5),
    seen=st.none() | st.booleans(),
)


@settings(deadline=None)
@given(asked=st.lists(requests, max_size=6))
def test_answers_are_those_of_a_naive_sort_for_any_requests_together(asked):
    for request, answer in zip(asked, SERVER.recommend(asked), strict=True):
        expected, scores = naive(request)
        assert [item.id for item in answer.items] == expected
        assert [item.score for item in answer.items] == pytest.approx(scores)
        named = [*request.history, *(request.candidates or ()), *request.exclude]
        assert answer.unknown == [id for id in named if id == "nobody"]
        assert answer.popular == (not set(request.history) - {"nobody"})


def test_items_of_the_history_are_recommended_if_the_evaluation_had_them_or_the_request_wants_them():
    request = Request(history=["i1", "i2", "i3"], top=ITEMS)
    assert len(SERVER.recommend([request])[0].items) == ITEMS - 3
    assert len(recommender(exclude_seen=False).recommend([request])[0].items) == ITEMS
    with_seen = Request(history=["i1", "i2", "i3"], top=ITEMS, seen=True)
    assert [item.id for item in SERVER.recommend([with_seen])[0].items] == naive(with_seen)[0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"top": 0}, "top = 0: must be a whole number of at least 1"),
        ({"top": True}, "top = True: must be"),
        ({"top": 2.0}, "top = 2.0: must be"),
        ({"history": "i1"}, "history = 'i1': must be a list of item ids"),
        ({"candidates": "i1"}, "candidates = 'i1': must be a list"),
        ({"exclude": None}, "exclude = None: must be a list"),
        ({"min_score": float("nan")}, "min_score = nan: must be a number"),
        ({"min_score": "high"}, "min_score = 'high': must be a number"),
        ({"where": ["brand"]}, "where = ['brand']: must name columns"),
        ({"where": {"price": {"low": 3}}}, "where price = {'low': 3}: give a label"),
        ({"where": {"price": {}}}, "where price = {}: give a label"),
        ({"where": {"brand": [["Acme"]]}}, "where brand = [['Acme']]: give a label"),
    ],
)
def test_a_request_that_cannot_be_understood_is_one_line(fields, words):
    with pytest.raises(UserError) as raised:
        Request(**fields)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_a_filter_on_an_unknown_column_names_the_nearest():
    with pytest.raises(UserError, match="where brnd = 'Acme': the items have no such column; did you mean 'brand'"):
        SERVER.recommend([Request(history=["i1"], where={"brnd": "Acme"})])


@given(data=st.data(), k=st.integers(1, 5), rows=st.integers(1, 4), columns=st.integers(1, 900))
def test_the_highest_by_blocks_are_those_of_topk(data, k, rows, columns):
    seed = data.draw(st.integers(0, 99))
    scores = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    values, places = highest(scores, k)
    assert torch.equal(values, scores.topk(min(k, columns)).values)
    assert torch.equal(scores.gather(1, places), values)


def test_tiles_change_no_answer(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    table, queries = torch.randn(3000, 4, generator=generator), torch.randn(7, 4, generator=generator)
    excluded = [np.arange(1, 3001)[row::7] for row in range(7)]
    scorer, among = DotProducts(table), torch.arange(0, 3000, 3)
    whole, some = best_items(scorer, queries, 3, excluded), best_items(scorer, queries, 3, excluded, among)
    monkeypatch.setattr(ranking, "TILE", 200 * 7)
    monkeypatch.setattr(ranking, "USERS", 2)
    for before, rest in ((whole, None), (some, among)):
        after = best_items(scorer, queries, 3, excluded, rest)
        assert np.array_equal(after.items, before.items) and np.allclose(after.scores, before.scores)
    assert (best_items(scorer, queries, 3, [np.arange(1, 3001)] * 7).items == NONE).all()


class DotProducts(ranking.Scorer):
    """Exact products, whatever the tile."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table, self.item_count = table.double(), len(table)

    def scores(self, queries_BD, items=slice(None), out=None):
        return queries_BD.double() @ self.table[items].T


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=50))
def test_groups_by_length_hold_every_history_once_in_order_of_length(lengths):
    histories = [list(range(1, n + 1)) for n in lengths]
    groups = by_length(histories, 50)
    places = np.concatenate(groups)
    assert sorted(places.tolist()) == list(range(len(lengths)))
    assert np.all(np.diff(np.minimum(np.array(lengths)[places], 50)) >= 0)
    for group in groups:
        items, counts = padded([histories[place] for place in group], 50)
        for row, place in enumerate(group):
            assert items[row, : counts[row]].tolist() == histories[place][-50:]
            assert not items[row, counts[row] :].any()
