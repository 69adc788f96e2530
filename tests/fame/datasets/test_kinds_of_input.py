"""Input as it really comes: each kind was once read wrongly, refused or ended in a traceback (from public bug reports)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.config import DataConfig
from fame.datasets import __main__ as datasets
from fame.datasets import load_dataset
from fame.errors import UserError
from tests.commands import call

BEGIN = 1_700_000_000


def load(path: str | Path, **settings):
    said: list[str] = []
    config = DataConfig(**{"name": "own", "path": str(path), "core": 1, **settings})
    return load_dataset(config, report=said.append), said


def histories(dataset) -> dict:
    return {
        user: dataset.items.ids[dataset.sequences[k] - 1].tolist() for k, user in enumerate(dataset.user_ids.tolist())
    }


def rows(ids=("a", "b", "c", "d"), users=("u", "v"), times=None) -> list[tuple]:
    return [(user, item, BEGIN + 60 * k if times is None else times[k]) for user in users for k, item in enumerate(ids)]


def text(lines: list[tuple], separator: str = ",", header: str = "user,item,time") -> str:
    return header.replace(",", separator) + "\n" + "".join(separator.join(map(str, line)) + "\n" for line in lines)


def jsonl(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


# Quotation marks


def test_a_tsv_with_unpaired_marks_keeps_all_rows(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(text(rows(ids=('"a', '"b', "c", '"d')), "\t"))
    dataset, said = load(path)
    assert histories(dataset) == {user: ['"a', '"b', "c", '"d'] for user in ("u", "v")}
    assert said == ['warning: 3 item ids begin with a quotation mark, such as "a']


def test_a_tsv_that_uses_marks_is_read_with_them(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(text(rows(ids=('"a\t1"', '"b"', "c", "d")), "\t"))
    assert histories(load(path)[0])["u"] == ["a\t1", "b", "c", "d"]


def test_titles_with_stray_marks_keep_their_items(tmp_path):
    path, items = tmp_path / "a.csv", tmp_path / "items.tsv"
    path.write_text(text(rows()))
    items.write_text('item\ttitle\na\t"Heroes\nb\t6" nails\nc\tPlain\nd\t"Low\n')
    assert list(load(path, items=str(items))[0].items.columns["title"]) == ['"Heroes', '6" nails', "Plain", '"Low']


@pytest.mark.parametrize("quoted", [0, 3])
def test_a_mark_that_swallows_rows_is_an_error_with_its_line(quoted, tmp_path):
    """Also far behind the part that is looked at first, and in a column that nobody uses."""
    path = tmp_path / "a.csv"
    lines = [(f"u{k // 10}", k % 10, BEGIN + k, '"so, so"' if k < quoted else "x") for k in range(20_000)]
    lines[15_000] = (*lines[15_000][:3], '"not closed')
    lines[15_003] = (*lines[15_003][:3], '"closed here')
    path.write_text(text(lines, header="user,item,time,note"))
    with pytest.raises(
        UserError, match="a quotation mark in line 15002 is not closed, so its field takes in the lines"
    ):
        load(path)


def test_a_mark_in_an_id_column_is_an_error_with_its_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('user,item,time,n\n1,"a,b",1,x\n1,"c,2,x\n1,"d,3,x\n')
    with pytest.raises(UserError, match=r"in row 2 holds a line end; close the quotation mark before it"):
        load(path)


def test_reviews_of_several_lines_are_no_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        text([(*row, '"one, ""two""\nthree\n,,,\nfour"') for row in rows()], header="user,item,time,review")
    )
    assert load(path)[0].statistics["actions"] == 8


# Times


def test_times_of_several_units_are_an_error_or_converted(tmp_path):
    path = tmp_path / "a.csv"
    times = [(BEGIN + 60 * k) * (1000 if k % 2 else 1) for k in range(6)]
    path.write_text(text(rows(ids=range(6), times=times)))
    words = f"{BEGIN} in row 1 is in seconds, {times[1]} in row 2 in milliseconds; .* --mixed-times convert"
    with pytest.raises(UserError, match=words):
        load(path)
    dataset, said = load(path, mixed_times="convert")
    assert histories(dataset)["u"] == list(range(6))
    assert said == ["times of more than one unit are converted: 6 in seconds, 6 in milliseconds"]


@pytest.mark.parametrize("factor", [10**3, 10**6, 10**9])
@pytest.mark.parametrize("share", [2, 500])
def test_every_ratio_of_units_is_found_however_rare(factor, share, tmp_path):
    path = tmp_path / "a.csv"
    times = [(BEGIN + k) * (factor if k % share == share - 1 else 1) for k in range(1000)]
    path.write_text(text(rows(ids=range(1000), times=times)))
    with pytest.raises(UserError, match="times have more than one unit"):
        load(path)


def test_fractions_and_parquet_are_looked_at_as_well(tmp_path):
    times = [BEGIN + 0.5, BEGIN * 1000.0 + 1, BEGIN + 2.5, BEGIN + 3.5]
    parquet.write_table(
        pa.Table.from_pylist([dict(zip("uit", r, strict=True)) for r in rows(times=times)]), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match="times have more than one unit"):
        load(tmp_path / "a.parquet", columns={"user": "u", "item": "i", "time": "t"})


@pytest.mark.parametrize(
    "times",
    [
        [0, 1, 2, 3],
        [0, 10**9, 5 * 10**9, 10**12],
        [-5, -4, 0, 7],
        [k * 10**11 for k in range(4)],
        [20240101, 20240102, 20240103, 20240104],
        [0.5, 1.5, 2.5, 3.5],
    ],
)
def test_clocks_of_their_own_are_no_mixture(times, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text(rows(times=times)))
    assert histories(load(path)[0])["u"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["1970-01-02", "2020-01-01", "2020-01-02", "2020-01-03"], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 1970-01-02 00:00:00 in row 1"),
        (["2020-01-01", "2020-01-02", "2020-01-03", "2199-01-01 10:00:00"], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 2199-01-01 10:00:00 in row 4"),
        ([BEGIN, BEGIN + 1, BEGIN + 2, 4 * 10**9], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 4000000000 in row 4"),
        ([0, BEGIN + 1, BEGIN + 2, BEGIN + 3], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 0 in row 1"),
        ([5, 5, 5, 5], "all times are the same"),
        (["1.70000E+09", "1.70000E+09", "1.70001E+09", "1.70001E+09"], "times such as 1.70000E+09 are rounded, their last 4 digits are lost"),
    ],
)  # fmt: skip
def test_times_that_are_hard_to_believe_are_a_warning(times, words, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text(rows(times=times)))
    said = load(path)[1]
    assert len(said) == 1 and said[0].startswith("warning: ") and words in said[0]


def test_nanoseconds_decide_the_order(tmp_path):
    """They once ended in a traceback; cut to microseconds they would be ties."""
    times = [1_700_000_000_123_456_789 + k for k in (3, 2, 1, 0)]
    parts = dict(zip(("user", "item", "time"), zip(*rows(times=times), strict=True), strict=True))
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "Asia/Tokyo")):
        parquet.write_table(pa.table({**parts, "time": pa.array(parts["time"], kind)}), tmp_path / "a.parquet")
        assert histories(load(tmp_path / "a.parquet")[0])["u"] == ["d", "c", "b", "a"]
    stamps = [f"2023-11-14 22:30:00.12345678{k}" for k in (3, 2, 1, 0)]
    (tmp_path / "a.csv").write_text(text(rows(times=stamps)))
    assert histories(load(tmp_path / "a.csv")[0])["u"] == ["d", "c", "b", "a"]


def test_files_of_different_precision_are_put_in_one_order(tmp_path):
    for k, unit in enumerate(("s", "ns", "ms")):
        table = {
            "user": ["u"],
            "item": [f"{3 - k}"],
            "time": pa.array([(BEGIN + 3 - k)]).cast(pa.timestamp("s")).cast(pa.timestamp(unit)),
        }
        parquet.write_table(pa.table(table), tmp_path / f"{k}.parquet")
    assert histories(load(tmp_path)[0]) == {"u": [1, 2, 3]}


# Ids


def test_words_for_nothing_are_ids_where_the_format_says_text(tmp_path):
    words = ["NULL", "Nan", "None", "NA", "nan", "null"]
    records = [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=words)]
    (tmp_path / "quoted.csv").write_text(text([(u, f'"{i}"', t) for u, i, t in rows(ids=words)]))
    jsonl(tmp_path / "a.jsonl", records)
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for name in ("quoted.csv", "a.jsonl", "a.parquet"):
        dataset, said = load(tmp_path / name)
        assert histories(dataset)["u"] == words
        assert (
            len(said) == 3
            and "2 of 12 rows (16.7%) have the item id 'NULL'; if it stands for a missing value" in said[0]
        )


@pytest.mark.parametrize("word", ["NULL", "NaN", "None", "NA", "\\N", "", "<NA>"])
def test_such_a_word_without_marks_in_a_text_file_is_a_missing_id(word, tmp_path):
    (tmp_path / "a.csv").write_text(text([*rows(), (word, "a", 1)]))
    with pytest.raises(UserError, match=r"user id in row 9 is missing \(nothing, or an unquoted word such as NULL\)"):
        load(tmp_path / "a.csv")
    dataset, said = load(tmp_path / "a.csv", where="user is not null")
    assert dataset.statistics["users"] == 2
    assert said == ["own: 8 of 9 rows kept where user is not null"]


@pytest.mark.parametrize("value", [None, ""])
def test_null_is_a_missing_id_in_every_format(value, tmp_path):
    records = [{"user": u, "item": i, "time": t} for u, i, t in [*rows(), (value, "a", BEGIN)]]
    jsonl(tmp_path / "a.jsonl", records)
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        with pytest.raises(UserError, match="user id in row 9 is missing"):
            load(tmp_path / name)


def test_one_user_of_nobody_is_a_warning_with_its_count(tmp_path):
    (tmp_path / "a.csv").write_text(text([*rows(), *rows(users=("undefined",)), *rows(users=("undefined",))]))
    said = load(tmp_path / "a.csv", repeats="keep")[1]
    assert said == ["warning: 8 of 16 rows (50.0%) have the user id 'undefined'; if it stands for a missing value, leave these rows out with --where"]  # fmt: skip


def test_signed_hashes_are_ids_and_come_back(tmp_path):
    hashes = [-7919000000000000, 7919000000000001, -(2**63), 2**63 - 1]
    (tmp_path / "a.csv").write_text(text(rows(users=hashes)))
    dataset, said = load(tmp_path / "a.csv")
    assert list(histories(dataset)) == sorted(hashes) and not said


@pytest.mark.parametrize("ids", [[2**63, 1, 2, 3], [2**64 - 1, 5, 6, 7], [10**30, 1, 2, 3]])
def test_integers_beyond_64_bits_are_texts_in_every_format(ids, tmp_path):
    records = [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=ids)]
    jsonl(tmp_path / "a.jsonl", records)
    (tmp_path / "a.csv").write_text(text(rows(ids=ids)))
    names = ["a.jsonl", "a.csv"]
    if max(ids) < 2**64:
        table = pa.Table.from_pylist([{**r, "item": None} for r in records])
        parquet.write_table(
            table.set_column(1, "item", pa.array([r["item"] for r in records], pa.uint64())), tmp_path / "a.parquet"
        )
        names.append("a.parquet")
    for name in names:
        assert histories(load(tmp_path / name)[0])["u"] == [str(i) for i in ids]


def test_ids_and_titles_that_look_like_dates_stay_text(tmp_path):
    ids = ["2024-01-05", "2024-01-19", "2024-01-03", "1e5", "NaN"]
    path = jsonl(tmp_path / "a.jsonl", [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=ids)])
    items = jsonl(
        tmp_path / "items.jsonl",
        [
            {"item": i, "title": "2024-01-01", "price": p}
            for i, p in zip(ids, ["$1.99", 2, 2.5, None, True], strict=True)
        ],
    )
    dataset, _ = load(path, items=str(items))
    assert histories(dataset)["u"] == ids
    assert set(dataset.items.columns["title"]) == {"2024-01-01"}
    assert sorted(dataset.items.columns["price"]) == ["", "$1.99", "2", "2.5", "true"]


def test_ids_written_in_two_ways_and_blanks_around_ids_are_named(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(ids=("1", "1.0", " 2", "3 "))))
    dataset, said = load(tmp_path / "a.csv")
    assert histories(dataset)["u"] == ["1", "1.0", "2", "3"]
    assert said[0] == "blanks around 2 item ids are left out"
    assert said[1].startswith("warning: 1 item ids are written in two ways, such as 1 and 1.0, and count as different")
    path = jsonl(tmp_path / "a.jsonl", [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=("a ", "b", "c"))])
    assert load(path)[1] == ["warning: 1 item ids have blanks around them, such as 'a '"]


# Fields, headers, separators, encodings


def test_a_field_that_appears_late_and_times_that_become_fractions(tmp_path):
    """After 16 MiB, in a field that nobody uses and in the time."""
    for name in ("late_field", "late_float"):
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            for k in range(180_000):
                row = {
                    "user_id": f"u{k % 3000}",
                    "item_id": f"i{k * 7 % 900}",
                    "timestamp": BEGIN + k,
                    "session": "s" * 60,
                }
                if k >= 170_000:
                    row |= (
                        {"voucher": {"code": "X"}} if name == "late_field" else {"timestamp": row["timestamp"] + 0.25}
                    )
                file.write(json.dumps(row) + "\n")
    first, second = (load(tmp_path / f"{name}.jsonl", repeats="keep")[0] for name in ("late_field", "late_float"))
    assert first.fingerprint == second.fingerprint
    assert first.statistics["actions"] == 180_000


def test_a_user_field_that_only_late_records_have_can_be_named(tmp_path):
    records = [{"x": 1}] * 30_000 + [{"u": u, "i": i, "t": t} for u, i, t in rows()]
    path = jsonl(tmp_path / "a.jsonl", records)
    named = {"user": "u", "item": "i", "time": "t"}
    assert load(path, columns=named, where="u is not null")[0].statistics["users"] == 2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_first_lines(end, tmp_path):
    (tmp_path / "a.csv").write_bytes((end * 3 + text(rows()).replace("\n", end)).encode())
    assert load(tmp_path / "a.csv")[0].statistics["actions"] == 8


def test_a_repeated_name_that_is_used_is_chosen_by_number(tmp_path):
    (tmp_path / "a.csv").write_text(text([(u, "x", i, t) for u, i, t in rows()], header="user,item,item,time"))
    with pytest.raises(UserError, match=r"more than one column is named 'item'; choose one by its number, .* item=2"):
        load(tmp_path / "a.csv")
    assert histories(load(tmp_path / "a.csv", columns={"item": "3"})[0])["u"] == ["a", "b", "c", "d"]


def test_a_file_without_a_header_says_how_to_name_columns(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(users=(1, 2), ids=(3, 4, 5))).partition("\n")[2])
    with pytest.raises(
        UserError, match=r"looks like a row, not like column names \(1, 3, 1700000000\); .* user=1,item=2"
    ):
        load(tmp_path / "a.csv")
    assert load(tmp_path / "a.csv", columns={"user": "1", "item": "2", "time": "3"})[0].statistics["actions"] == 6


def test_what_was_found_out_is_said_once(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(), ";"))
    assert load(tmp_path / "a.csv")[1] == [f"{tmp_path}/a.csv: columns are separated by semicolons"]
    assert load(tmp_path / "a.csv", separator=";")[1] == []


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("latin-1", "Le Fabuleux Destin d'Amélie Poulain, déjà vu à la télé, été, Noël, garçon, forêt"),
        ("cp1251", "Война и мир, роман Льва Толстого о жизни русского общества"),
        ("shift_jis", "となりのトトロ、千と千尋の神隠し、もののけ姫"),
        ("gb18030", "红楼梦是中国古典文学的代表作品之一，西游记也是"),
    ],
)
def test_another_encoding_is_named_and_can_be_said(encoding, title, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    items = tmp_path / "items.csv"
    items.write_bytes(("item,title\n" + "".join(f'{i},"{title} {i}"\n' for i in "abcd")).encode(encoding))
    with pytest.raises(UserError, match=r"items.csv: line 2 is not UTF-8; it reads as .*: add --encoding") as caught:
        load(tmp_path / "a.csv", items=str(items))
    named = str(caught.value).partition("--encoding ")[2].partition(",")[0]
    for said in (encoding, named):
        assert load(tmp_path / "a.csv", items=str(items), encoding=said)[0].items.title(1) == f"{title} a"


def test_an_encoding_that_does_not_fit_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(text(rows(ids=("é", "b", "c"))).encode("latin-1"))
    with pytest.raises(UserError, match=r"cannot read .* as ascii: the bytes do not fit"):
        load(tmp_path / "a.csv", encoding="ascii")


# Item tables


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


# Places and conditions


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.csv").write_text(text(rows()))
    jsonl(tmp_path / "mixed" / "b.jsonl", [{"user": 1}])
    with pytest.raises(UserError, match=r"files of different formats: .csv, .jsonl; give one format"):
        load(tmp_path / "mixed")
    with pytest.raises(UserError, match=r"no such file: .*; no file matches it"):
        load(tmp_path / "*.parquet")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.csv").write_text(text(rows()))
    (tmp_path / "two" / "b.csv").write_text(text([(u, t) for u, _, t in rows()], header="user,time"))
    with pytest.raises(UserError, match=r"b.csv has no column 'item' \(item\), unlike .*a.csv"):
        load(tmp_path / "two")
    (tmp_path / "two" / "b.csv").write_text(text([*rows(), ("u", "", 5)]))
    with pytest.raises(UserError, match=r"item id in row 9 of .*b.csv is missing"):
        load(tmp_path / "two")


def test_a_comma_in_the_name_of_a_file(tmp_path):
    (tmp_path / "a,b.csv").write_text(text(rows()))
    assert load(tmp_path / "a,b.csv")[0].statistics["actions"] == 8


def test_a_partition_can_be_the_time(tmp_path):
    folder = tmp_path / "events"
    for day, item in (("2024-01-07", "c"), ("2024-01-05", "a"), ("2024-01-06", "b")):
        (folder / f"date={day}").mkdir(parents=True)
        parquet.write_table(pa.table({"user": ["u"], "item": [item]}), folder / f"date={day}" / "0.parquet")
    assert histories(load(folder)[0]) == {"u": ["a", "b", "c"]}
    with pytest.raises(UserError, match="no interactions where date > '2025'"):
        load(folder, where="date > '2025'")


@pytest.mark.parametrize(
    ("where", "actions"),
    [
        ("event = 'buy'", 9),
        ("event = 'buy' OR price > 2.5", 13),
        ("price BETWEEN 0 AND 2 AND event <> 'view'", 5),
        ("\"event\" LIKE 'b%' -- a comment", 9),
        ("user = 'u'", 9),
    ],
)
def test_rows_that_a_condition_keeps(where, actions, tmp_path):
    records = [
        {"user": u, "item": i, "time": t, "event": ("buy", "view")[k % 2], "price": k % 4 + 0.5, "code": "007"}
        for k, (u, i, t) in enumerate(rows(ids="abcdefghi"))
    ]
    jsonl(tmp_path / "a.jsonl", records)
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    names = list(records[0])
    (tmp_path / "a.csv").write_text(text([tuple(r.values()) for r in records], header=",".join(names)))
    for name in ("a.jsonl", "a.parquet", "a.csv"):
        dataset, said = load(tmp_path / name, where=f"({where}\n) and code = '007'")
        assert dataset.statistics["steps"][0]["actions"] == actions
        assert said[0] == f"own: {actions} of 18 rows kept where ({where} ) and code = '007'"


@pytest.mark.parametrize("where", ["(SELECT 1) = 1", "1; DROP TABLE x", "count(*) > 1", "read_text('/etc/passwd') = ''", "nonsense = 1", "", "user", "'", ")", "sum(price) OVER () > 1"])  # fmt: skip
def test_a_condition_sees_one_row_and_no_file(where, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    with pytest.raises(UserError, match=r"data\.where = ") as caught:
        load(tmp_path / "a.csv", where=where)
    assert "\n" not in str(caught.value)


# The console


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_a_console_of_any_encoding(encoding, tmp_path):
    (tmp_path / "a.csv").write_text(text([*rows(), ("ж", "ж", BEGIN)]))
    done = subprocess.run(
        [sys.executable, "-m", "fame.datasets", "--data", tmp_path / "a.csv", "--set", "data.core=1"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "FAME_DATA": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert ("≥" if encoding == "utf-8" else ">=") in done.stdout.decode(encoding)


def test_the_command_takes_every_option(tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(text([*rows(users=("é", "v")), ("x", "y", 1)], "|").encode("latin-1"))
    (tmp_path / "items.csv").write_text("sku,Title\na,A\nb,B\nc,C\nd,D\n")
    done = call(datasets.main, "--data", tmp_path / "a.txt", "--separator", "pipe", "--encoding", "latin-1", "--where", "user <> 'x'",
                "--items", tmp_path / "items.csv", "--item-id", "sku", "--mixed-times", "convert", "--set", "data.core=1")  # fmt: skip
    assert done.code == 0
    assert done.err == "a: 8 of 9 rows kept where user <> 'x'\n"
    assert "item columns title" in done.out
