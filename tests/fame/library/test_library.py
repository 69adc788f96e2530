"""The Python functions: from a data frame to recommendations in the user's own ids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fame
from fame import UserError
from tests.fame.library.shop import CUSTOMERS


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


def test_the_commands_read_what_python_saved(model, tmp_path):
    model.save(tmp_path / "shop")
    words = ("-m", "fame.recommend", "--model", tmp_path / "shop", "--history", "SKU-1,SKU-2", "--top", "3")
    done = subprocess.run([sys.executable, *words], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    items = [line.split()[2] for line in done.stdout.splitlines()[1:]]
    assert items == model.recommend(histories=[["SKU-1", "SKU-2"]], k=3)["item"].tolist()
