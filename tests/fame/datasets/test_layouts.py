"""The published archives, as they are and unpacked, and the prepared format."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import load_named

USERS = ITEMS = range(1, 8)


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
    found = {place: load_named(name, dir=path, recipe="5-core") for place, path in places.items()}
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
    assert load_named("sports", dir=str(tmp_path)).sequences[0].tolist() == [7, 6, 5, 4, 3, 2, 1]
    assert load_named("sports", dir=str(folder)).items.columns == {}
    # the folder of one dataset is not taken for another's
    with pytest.raises(
        UserError, match=r"does not hold beauty; looked there for Beauty.txt, .*beauty/interactions.csv.gz"
    ):
        load_named("beauty", dir=str(folder))


def test_products_have_their_category_levels_and_no_brand_that_is_unknown(tmp_path):
    folder = tmp_path / "toys"
    folder.mkdir()
    rows = "".join(f"{user},{item},{item}\n" for user in range(1, 6) for item in range(1, 6))
    (folder / "interactions.csv.gz").write_bytes(gzip.compress(f"user_id,item_id,position\n{rows}".encode()))
    table = "item_id,brand,categories\n1,Lego,A|B|C|D\n2,Unknown,A|B\n3,,\n4,Lego,A\n5,x,B\n"
    (folder / "items.csv.gz").write_bytes(gzip.compress(table.encode()))
    dataset = load_named("toys", dir=str(tmp_path))
    assert dataset.facets == ("category_2", "brand", "category_3", "category_1")
    columns = dataset.items.columns
    assert list(columns["brand"]) == ["Lego", "", "", "Lego", "x"]
    levels = [list(columns[f"category_{level}"]) for level in (1, 2, 3)]
    assert levels == [["A", "A", "", "A", "B"], ["B", "B", "", "", ""], ["C", "", "", "", ""]]


def test_s3rec_files(tmp_path):
    (tmp_path / "Beauty.txt").write_text("".join(f"{u} 3 1 2 5 4\n" for u in range(1, 6)))
    assert load_named("beauty", dir=str(tmp_path)).facets == ()
    (tmp_path / "Beauty_item2attributes.json").write_text(json.dumps({"3": [7, 8], "1": [9]}))
    dataset = load_named("beauty", dir=str(tmp_path))
    assert dataset.sequences[4].tolist() == [3, 1, 2, 5, 4]
    assert list(dataset.items.columns["attributes"]) == ["9", "", "7|8", "", ""]
    assert dataset.facets == ("attributes",)
    assert load_named("beauty", dir=str(tmp_path)).items.columns.keys() == {"attributes"}
    (tmp_path / "Beauty.txt").write_text("1 2 x\n")
    with pytest.raises(UserError, match=r"cannot read .*Beauty.txt"):
        load_named("beauty", dir=str(tmp_path))
