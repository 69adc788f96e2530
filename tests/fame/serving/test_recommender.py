"""Requests: whatever is asked, the answer is the head of what a naive sort of all allowed items gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.models.fame import Fame, FameConfig
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.recommender import Recommender, split_ids
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


def test_a_filter_on_an_unknown_column_names_the_nearest():
    with pytest.raises(UserError, match="where brnd = 'Acme': the items have no such column; did you mean 'brand'"):
        SERVER.recommend([Request(history=["i1"], where={"brnd": "Acme"})])


def test_ids_are_split_at_commas_unless_quoted():
    assert split_ids("001, 2 ,a b,,") == ["001", "2", "a b"]
    assert split_ids('"a,b",c"d') == ["a,b", 'c"d']
    assert split_ids("") == []
