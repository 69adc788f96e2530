"""Labels, sets and numbers become facets; what is none is refused with a way out."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from fame.config import DataConfig
from fame.datasets.items import Items
from fame.errors import UserError
from fame.text.facets import item_labels, read_facet
from tests.fame.helpers import experiment


def labels(facet) -> list[list[str]]:
    """Names of every item's labels."""
    return [
        [facet.names[label] for label in facet.labels[a:b]]
        for a, b in zip(facet.offsets, facet.offsets[1:], strict=False)
    ]


def test_single_labels():
    facet = read_facet("brand", {"brand": ["x", "y", "", "x", "y", "z"]}, rare=2)
    assert labels(facet) == [["x"], ["y"], [], ["x"], ["y"], []]
    assert facet.merged == 1
    assert facet.line() == "brand: 2 labels, 1 rare ones merged into none; 66.7% of the items have one"


def test_sets_of_labels():
    facet = read_facet("genres", {"genres": ["b|a", "a", " a | b|b", "|", "b"]}, rare=2)
    assert labels(facet) == [["a", "b"], ["a"], ["a", "b"], [], ["b"]]


def test_numbers_are_cut_into_bins_of_equal_frequency():
    years = [str(year) for year in range(1990, 2010)] + [""]
    facet = read_facet("year:4", {"year": years}, rare=2)
    assert facet.names == ("bin 0", "bin 1", "bin 2", "bin 3")
    assert np.bincount(facet.labels).tolist() == [5, 5, 5, 5]
    assert labels(facet)[-1] == []


def test_equal_numbers_share_a_bin():
    facet = read_facet("price:4", {"price": ["$1"] * 10 + ["2", "2.5", "3", "3"]}, rare=2)
    assert labels(facet)[:10] == [["bin 0"]] * 10
    assert len(facet.names) == 2


def test_a_column_may_have_a_colon_in_its_name():
    assert read_facet("a:2", {"a:2": ["x", "y", "x", "y"]}, rare=2).names == ("x", "y")


@pytest.mark.parametrize(
    ("spec", "texts", "message"),
    [
        ("brnad", ["x"], "no column 'brnad'; did you mean 'brand'"),
        ("brand", ["x", "x", "x", "y"], r"has 1 labels that at least 2 items have \(1 rarer ones\).*lower text.rare"),
        ("brand", [str(n) for n in range(50)], "for numbers, ask for bins: brand:8"),
        ("brand", ["x", "x", "y", "y"] + [f"z{n}" for n in range(100)], r"only 3.8% of the items have a label"),
        ("brand:3", ["1", "2", "red"], "bins of numbers, and 'red' is none; use 'brand'"),
        ("brand:1", ["1", "2"], "at least 2 bins"),
        ("brand:4", ["", ""], "has 0 labels"),
    ],
)
def test_what_is_no_facet_is_refused(spec, texts, message):
    with pytest.raises(UserError, match=message):
        read_facet(spec, {"brand": texts}, rare=2)


def test_of_some_items_only_their_labels_count():
    columns = {"brand": ["x", "y", "x", "y", "z|x", "z"]}
    assert labels(read_facet("brand", columns, 2, np.array([3, 0, 1, 4, 5]))) == [
        ["y"],
        ["x"],
        ["y"],
        ["x", "z"],
        ["z"],
    ]
    with pytest.raises(UserError, match="has 1 labels that at least 2 items have"):
        read_facet("brand", columns, 2, np.array([0, 1, 3]))


def test_the_labels_of_all_facets_are_numbered_through(synthetic):
    settings = experiment(model={"labels": True}, text={"rare": 2})
    labels_VM = item_labels(settings, synthetic)
    assert labels_VM.shape == (len(synthetic.items), 2)
    for column, name in enumerate(synthetic.facets):
        texts = np.array(synthetic.items.columns[name])
        for number in np.unique(labels_VM[:, column]):
            assert len(set(texts[labels_VM[:, column] == number])) == 1
    assert labels_VM[:, 0].max() < labels_VM[:, 1].min()
    assert set(labels_VM.flatten()) == set(range(1, labels_VM.max() + 1))


def test_several_labels_of_an_item_stand_side_by_side():
    items = Items(ids=np.arange(4), columns={"genre": ["a|b", "", "b", "b|a"], "brand": ["x", "x", "y", "y"]})
    dataset = SimpleNamespace(items=items, facets=("genre", "brand"), config=DataConfig())
    assert item_labels(experiment(model={"labels": True}, text={"rare": 2}), dataset).tolist() == [
        [1, 2, 3],
        [0, 0, 3],
        [2, 0, 4],
        [1, 2, 4],
    ]


def test_labels_that_are_not_there_are_refused(synthetic):
    settings = experiment(model={"labels": True})
    assert item_labels(experiment(), None) is None
    with pytest.raises(UserError, match=r"model\.labels: the labels are in the item table"):
        item_labels(settings, None)
    with pytest.raises(UserError, match=r"model\.labels: the items of synthetic have no facet; name columns"):
        item_labels(settings, dataclasses.replace(synthetic, facets=()))
