"""Item tables: their id column, and the text of each kind of cell."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.errors import UserError
from tests.fame.datasets.files import (
    ABCD,
    GOOD,
    dataset_of,
    jsonl,
    load,
    own,
    python_lines,
    rows,
    text,
)


def test_the_id_column_of_an_item_table_in_any_case_or_named(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    for header in ("Item_ID", "ITEM", "item id", "sku"):
        (tmp_path / "items.csv").write_text(f"{header},Title\na,A\nb,B\nc,C\nd,D\n")
        dataset, said = load(
            tmp_path / "a.csv", items=str(tmp_path / "items.csv"), item_id="sku" if header == "sku" else None
        )
        assert [dataset.items.title(n) for n in range(1, 5)] == ["A", "B", "C", "D"] and not said
    with pytest.raises(
        UserError, match=r"no item id column .*; name it with --item-id NAME; columns there: sku, Title"
    ):
        load(tmp_path / "a.csv", items=str(tmp_path / "items.csv"))
    assert load(tmp_path / "a.csv", items=str(tmp_path / "items.csv"), item_id="1")[0].items.title(1) == "A"


NESTED = {
    "categories": ([["Books", "Fiction"], ["Sale"]], "Books|Fiction|Sale"),
    "details": ({"Brand": "X", "Colors": ["red", "blue"]}, "Brand: X|Colors: red, blue"),
    "genres": ([{"id": 18, "name": "Drama"}, {"id": 35, "name": "Comedy"}], "Drama|Comedy"),
    "tags": (["a b", "c"], "a b|c"),
    "none": ([], ""),
}


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv of Python", "csv of JSON"])
def test_lists_and_structures_become_labels(form, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    record = {"item": "a", **{name: value for name, (value, _) in NESTED.items()}}
    if form == "parquet":
        path = tmp_path / "items.parquet"
        parquet.write_table(pa.Table.from_pylist([{**record, "none": None}]), path)
    elif form == "jsonl":
        path = jsonl(tmp_path / "items.jsonl", [record])
    else:
        write = repr if "Python" in form else json.dumps
        cells = [record["item"], *(write(record[name]) for name in NESTED)]
        path = tmp_path / "items.csv"
        quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
        path.write_text(f"item,{','.join(NESTED)}\n{quoted}\n")
    columns = load(tmp_path / "a.csv", items=str(path))[0].items.columns
    assert {name: columns[name][0] if name in columns else "" for name in NESTED} == {
        n: e for n, (_, e) in NESTED.items()
    }


def test_a_title_in_brackets_stays_as_it_is(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    jsonl(tmp_path / "items.jsonl", [{"item": "a", "title": "[REC]"}, {"item": "b", "title": "{x"}])
    dataset, _ = load(tmp_path / "a.csv", items=str(tmp_path / "items.jsonl"))
    assert [dataset.items.title(n) for n in (1, 2)] == ["[REC]", "{x"]


def with_items(folder: Path, items: Path) -> dict:
    (folder / "a.csv").write_text(text(rows()))
    return load(folder / "a.csv", items=str(items))[0].items.columns


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("['Books' 'Fiction']", "Books|Fiction"),
        ("{'Fiction', 'Books'}", "Books|Fiction"),
        ('"The \\"a\\" one"', 'The "a" one'),
    ],
)
def test_cells_of_item_tables(cell, label, tmp_path):
    quoted = cell if cell.startswith('"') else f'"{cell}"'
    (tmp_path / "items.csv").write_text("item,tags\n" + "".join(f"{i},{quoted}\n" for i in ABCD))
    assert set(with_items(tmp_path, tmp_path / "items.csv")["tags"]) == {label}


def test_item_tables_of_other_forms(tmp_path):
    details = pa.array([[("Brand", "X"), ("Size", "L")]] * 4, pa.map_(pa.string(), pa.string()))
    parquet.write_table(pa.table({"item": ABCD, "details": details}), tmp_path / "items.parquet")
    assert set(with_items(tmp_path, tmp_path / "items.parquet")["details"]) == {"Brand: X|Size: L"}
    found = [{"item": i, "title": f"It's {i}", "categories": [["A", "B"]]} for i in ABCD]
    (tmp_path / "items.json").write_text(python_lines(found))
    columns = with_items(tmp_path, tmp_path / "items.json")
    assert list(columns["title"]) == [f"It's {i}" for i in ABCD] and set(columns["categories"]) == {"A|B"}
    jsonl(tmp_path / "other.jsonl", [{"item": f"{i}.0", "title": i} for i in ABCD])
    with pytest.raises(
        UserError, match=r"names none of the 4 items: its ids are such as 'a.0', those of the items such as 'a'"
    ):
        with_items(tmp_path, tmp_path / "other.jsonl")


def test_items_file_covers_a_part(write):
    lines: list[str] = []
    items = write("items.csv", "item,title,brand", "0,Zero,A", "2,,B")
    config = DataConfig(name="own", path=own(write, *GOOD), items=items, core=1)
    load_dataset(config)
    dataset = load_dataset(config, report=lines.append)  # prepared already: the warning comes all the same
    assert [line for line in lines if "warning" in line] == [
        f"warning: {items} covers 2 of 3 items (66.7%); the others have no text"
    ]
    assert list(dataset.items.columns["brand"]) == ["A", "", "B"]
    assert [dataset.items.title(n) for n in (1, 2, 3)] == ["Zero", "1", "B (2)"]


def test_items_file_of_other_items_or_without_ids(write):
    with pytest.raises(UserError, match=r"names none of the 3 items: .*; check its id column"):
        dataset_of(own(write, *GOOD), items=write("items.csv", "id,title", "x,X"))
    with pytest.raises(UserError, match=r"no item id column .*columns there: sku, title"):
        dataset_of(own(write, *GOOD), items=write("other.csv", "sku,title", "0,X"))
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        dataset_of(own(write, *GOOD), items=str(Path(own(write, *GOOD)).parent / "gone.csv"))
