"""The Python functions: from a data frame to recommendations in the user's own ids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fame
from fame import UserError
from fame.training.fit import CHECKPOINT

CUSTOMERS = {f"c{user:02d}": [f"SKU-{(user + step) % 12}" for step in range(5 + user % 4)] for user in range(20)}
SMALL = {"epochs": 2, "dim": 8, "heads": 2, "experts": 2, "precision": "float32"}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def clicks() -> pd.DataFrame:
    rows = [(user, item, time) for user, items in CUSTOMERS.items() for time, item in enumerate(items)]
    frame = pd.DataFrame(rows, columns=["customer", "sku", "when"])
    return frame.assign(when=pd.to_datetime(frame["when"], unit="D"), note=[1, "two"] * (len(frame) // 2))


@pytest.fixture
def products() -> pd.DataFrame:
    names = {"sku": [f"SKU-{n}" for n in range(12)], "Product Name": [f"Product {n}" for n in range(12)]}
    return pd.DataFrame({**names, "Category": ["tea", "bread"] * 6, "title": "of the supplier"})


@pytest.fixture
def data(clicks, products) -> fame.Dataset:
    roles = {"user": "customer", "item": "sku", "time": "when"}
    return fame.Dataset.from_pandas(
        clicks, **roles, items=products, title="Product Name", facets=["Category"], name="shop", core=1
    )


@pytest.fixture
def model(data) -> fame.Model:
    return fame.fit(data, progress=False, **SMALL)


def test_a_frame_becomes_a_dataset(data):
    assert repr(data) == "Dataset(shop: 20 users, 12 items, 130 interactions, 6.5 a user)"
    assert data.users.tolist() == sorted(CUSTOMERS)
    assert data.items.title(1) == "Product 0"
    assert data.facets == ("Category",)
    assert data.settings["text.facets"] == ["Category"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": "costumer"}, "the table has no column 'costumer': did you mean 'customer'?"),
        ({"title": "Name"}, "the table has no column 'Name'"),
        ({"facets": ["category"]}, "facets: the items have no column 'category'; did you mean 'Category'?"),
        ({"items": None}, "title = 'Product Name', facets = ['Category']: they are columns of items; give items, too"),
        ({"cores": 3}, "unknown configuration key 'data.cores': did you mean 'core'?"),
        ({"core": 0}, "data.core = 0: must be at least 1"),
    ],
)
def test_what_cannot_be_used_is_one_line(clicks, products, change, words):
    named = {"user": "customer", "item": "sku", "time": "when", "items": products, "title": "Product Name"}
    with pytest.raises(UserError) as caught:
        fame.Dataset.from_pandas(clicks, **{**named, "facets": ["Category"], **change})
    assert words in str(caught.value)


def test_files_and_named_datasets_are_the_same(clicks, products, data, tmp_path):
    clicks.drop(columns="note").to_csv(tmp_path / "clicks.csv", index=False)
    products.to_csv(tmp_path / "products.csv", index=False)
    roles = {"user": "customer", "item": "sku", "time": "when"}
    read = fame.Dataset.from_files(
        tmp_path / "clicks.csv", **roles, items=tmp_path / "products.csv", facets=["Category"], core=1
    )
    assert (read.config.name, read.fingerprint, read.facets) == ("clicks", data.fingerprint, ("Category",))
    assert len(fame.Dataset.named("synthetic", size={"users": 30, "items": 20}).users) == 30


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


def test_nothing_stays_of_a_training_without_a_folder(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = fame.fit(data, model="popularity", progress=False, epochs=1)
    assert list(tmp_path.iterdir())
    del model
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"model\.dim"):
        fame.fit(data, model="sasrec", dim=0)
    assert not list(tmp_path.iterdir())


def test_a_training_in_a_folder_goes_on(data, tmp_path):
    first = fame.fit(data, folder=tmp_path / "run", progress=False, **SMALL)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert first.folder == tmp_path / "run" / "best"
    second = fame.fit(data, folder=tmp_path / "run", progress=False, **SMALL)
    assert second.metrics["history"] == first.metrics["history"]
    again = fame.fit(data, config=first.folder / "config.yaml", progress=False)
    assert again.evaluate().equals(first.evaluate())
    with pytest.raises(UserError, match="belongs to another experiment"):
        fame.fit(data, folder=tmp_path / "run", progress=False, **{**SMALL, "lr": 0.5})


def test_settings_reach_the_experiment(data):
    model = fame.fit(
        data, model="fame", recipe="paper", max_length=4, backbone={"epochs": 1}, seed=3, progress=False, **SMALL
    )
    found = model.experiment
    assert (found.data.max_length, found.backbone.epochs, found.seed, found.train.epochs) == (4, 1, 3, 2)
    assert found.train.mode == "prefix", "the recipe's"
    assert found.text.facets == ("Category",)
    with pytest.raises(UserError, match=r"data.core prepares the data: give it to fame\.Dataset"):
        fame.fit(data, **{"data.core": 3})
    with pytest.raises(UserError, match=r"data is a DataFrame; give fame\.Dataset\.from_pandas"):
        fame.fit(pd.DataFrame())


def test_a_bar_shows_the_epochs_on_a_terminal_and_nothing_elsewhere(data, capsys, monkeypatch):
    fame.fit(data, model="sasrec", epochs=2, dim=8)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fame.fit(data, model="sasrec", epochs=2, dim=8)
    shown = capsys.readouterr().err
    assert "sasrec: 100%" in shown and "2/2 epochs" in shown and "best 0." in shown


def test_the_commands_read_what_python_saved(model, tmp_path):
    model.save(tmp_path / "shop")
    words = ("-m", "fame.recommend", "--model", tmp_path / "shop", "--history", "SKU-1,SKU-2", "--top", "3")
    done = subprocess.run([sys.executable, *words], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    items = [line.split()[2] for line in done.stdout.splitlines()[1:]]
    assert items == model.recommend(histories=[["SKU-1", "SKU-2"]], k=3)["item"].tolist()
