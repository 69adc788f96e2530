"""A model recommends in the user's own ids."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fame
from fame import UserError
from tests.fame.library.shop import CUSTOMERS


def test_the_metrics_of_the_best_epoch(model):
    table = model.evaluate()
    assert list(table.columns) == ["validation", "test"]
    assert table.index.name == "metric"
    assert table.loc["ndcg@10", "validation"] == max(e["validation"]["ndcg@10"] for e in model.metrics["history"])
    assert repr(model).startswith("Model(fame on shop: ndcg@10 validation ")


def test_users_get_items_in_their_own_ids(model, data):
    found = model.recommend(users=data.users, k=3)
    assert list(found.columns) == ["user", "rank", "item", "title", "score"]
    assert found["user"].tolist() == np.repeat(data.users, 3).tolist()
    assert found["rank"].tolist() == [1, 2, 3] * 20
    assert (found["title"] == "Product " + found["item"].str.removeprefix("SKU-")).all()
    for user, items in found.groupby("user")["item"]:
        assert not set(items) & set(CUSTOMERS[user])
    histories = pd.Series(CUSTOMERS)
    assert model.recommend(histories=histories, k=3).equals(found)
    listed = model.recommend(histories=list(CUSTOMERS.values()), k=3)
    assert listed["user"].tolist() == np.repeat(range(20), 3).tolist()
    assert listed["item"].tolist() == found["item"].tolist()


def test_candidates_filters_scores_and_seen_items(model):
    history = [CUSTOMERS["c03"][:3]]
    everything = model.recommend(histories=history, k=99, seen=True)
    assert set(CUSTOMERS["c03"][:3]) <= set(everything["item"])
    some = everything["item"].tolist()[2:6]
    assert model.recommend(histories=history, k=3, candidates=some, seen=True)["item"].tolist() == some[:3]
    lowest = everything["score"].iloc[4]
    assert len(model.recommend(histories=history, k=99, seen=True, min_score=lowest)) == 5
    with pytest.raises(fame.UserError, match="where colour = 'red': the items have no such column"):
        model.recommend(histories=history, where={"colour": "red"})


def test_excluded_items_are_not_recommended_and_the_others_follow(model):
    history = [["SKU-1", "SKU-2"]]
    usual = model.recommend(histories=history, k=12)["item"].tolist()
    assert len(usual) == 10
    out = [usual[0], usual[2], "SKU-1", "of another shop"]
    assert model.recommend(histories=history, k=5, exclude=out)["item"].tolist() == [usual[1], *usual[3:7]]


def test_unknown_items_are_ignored_with_a_warning_and_without_a_known_one_the_popular_are_the_answer(model):
    with pytest.warns(UserWarning, match=r"does not know are ignored \(1\): SKU-99"):
        found = model.recommend(histories=[["SKU-1", "SKU-99"], ["SKU-99"]], k=2, exclude=["SKU-4"])
    assert found["item"].tolist()[:2] == model.recommend(histories=[["SKU-1"]], k=2, exclude=["SKU-4"])["item"].tolist()
    assert found["score"].isna().tolist() == [False, False, True, True]
    assert "SKU-4" not in found["item"].tolist()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "recommend to whom? Give users or histories, one of them"),
        ({"users": ["c01"], "histories": [["SKU-1"]]}, "Give users or histories, one of them"),
        ({"users": ["c01"], "k": 0}, "k = 0: must be a whole number of at least 1"),
        ({"users": "c01"}, "users = 'c01': must be a list"),
        ({"users": ["nobody"]}, "shop has no user 'nobody' with enough interactions; its ids look like c00, c01, c02"),
        ({"histories": ["SKU-1", "SKU-2"]}, "a history = 'SKU-1': must be a list of lists of item ids"),
    ],
)
def test_a_wrong_question_is_one_line(model, asked, words):
    with pytest.raises(UserError) as caught:
        model.recommend(**asked)
    assert words in str(caught.value)


def test_whole_numbers_come_back_whole_also_where_pandas_has_made_them_fractions():
    frame = pd.DataFrame({"user": np.repeat(range(10), 6), "item": np.tile(range(6), 10), "time": range(60)})
    frame = frame[frame["item"] != frame["user"] % 6].astype({"user": float, "item": float})
    data = fame.Dataset.from_pandas(frame, core=1)
    model = fame.fit(data, model="sasrec", epochs=1, dim=8, progress=False)
    found = model.recommend(histories=pd.DataFrame({"u": [7], "i": [[1.0, np.int64(2)]]}).set_index("u")["i"], k=1)
    assert found[["user", "rank"]].to_numpy().tolist() == [[7, 1]]
    assert found["item"].dtype == np.int64
    assert found["item"].tolist()[0] not in (1, 2)
    assert model.recommend(users=[3.0, "4"], k=1)["user"].tolist() == [3, 4]


def test_a_saved_model_answers_as_before_and_needs_no_data(model, tmp_path):
    target = model.save(tmp_path / "shop")
    again = fame.load(target)
    question = {"histories": [["SKU-1", "SKU-2"]], "k": 5}
    assert again.recommend(**question).equals(model.recommend(**question))
    assert again.evaluate().equals(model.evaluate())
    assert again.recommend(users=["c03"]).equals(model.recommend(users=["c03"]))
    assert str(tmp_path) not in (target / "README.md").read_text() + (target / "config.yaml").read_text()
    assert again.save(target) == target
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds other files than a model; choose another folder"):
        model.save(tmp_path / "other")
    assert model.save(target) == target, "a model may take the place of a model"
