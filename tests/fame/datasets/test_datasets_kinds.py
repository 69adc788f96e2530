"""Three more inputs of each kind, from reports about other programs: read right, refused with one line, or warned of."""

from __future__ import annotations

import gzip
import json

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import ABCD, BEGIN, histories, load, python_lines, records, rows, text


def at(times: list) -> str:
    return text(rows(times=times))


NOTED = text([(*row, r'"say \"hi\", ok"') for row in rows()], header="user,item,time,note")
READ: dict[str, tuple[str, str | bytes, dict]] = {
    "quotation marks after a backslash": ("a.csv", NOTED, {}),
    "quoted, with semicolons": ("a.csv", text([(f'"{u}"', f'"{i}"', t) for u, i, t in rows()], ";"), {}),
    "JSON in a TSV column": ("a.tsv", text([(*row, '{"a": "b"}') for row in rows()], "\t", "user,item,time,x"), {}),
    "an offset of hours": ("a.csv", at([f"2023-11-14 22:30:0{k}.123456+00" for k in range(4)]), {}),
    "an offset after a blank": ("a.csv", at([f"2023-11-14 22:30:0{k}.000 +0000" for k in range(4)]), {}),
    "weekday and year at the ends": ("a.csv", at([f"Tue Nov 14 22:30:0{k} +0000 2023" for k in range(4)]), {}),
    "days of a spreadsheet": ("a.csv", at([45244.9375 + k for k in range(4)]), {}),
    "a header of two lines": ("a.csv", text(rows(), header='"us\ner",item,time'), {"columns": {"user": "us\ner"}}),
    "quoted names after blanks": ("a.csv", text(rows(), header='"user", "item", "time"'), {}),
    "a separator at the end of rows": ("a.csv", text([(*row, "") for row in rows()]), {}),
    "line ends of old Macs": ("a.csv", text(rows()).replace("\n", "\r"), {}),
    "blanks between columns": ("a.txt", text(rows(), " "), {}),
    "Hive's separator": ("a.txt", text(rows(), "\x01"), {}),
    "Python's dictionaries": ("a.json", python_lines(records()), {}),
    "Python's dictionaries, gzip": ("a.json.gz", gzip.compress(python_lines(records()).encode()), {}),
    "NaN in JSON": ("a.jsonl", "".join(json.dumps({**r, "x": float("nan")}) + "\n" for r in records()), {}),
    "empty lines in JSON": ("a.jsonl", "\r\n\r\n".join(map(json.dumps, records())), {}),
    "fields that differ in case": ("a.jsonl", "".join(json.dumps({**r, "USER": "z"}) + "\n" for r in records()), {}),
    "a column called from": ("a.csv", text([(*row, "x") for row in rows()], header="user,item,time,from"), {"where": "\"from\" = 'x'"}),
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_is_read_as_it_is_meant(what, tmp_path):
    name, content, settings = READ[what]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    dataset, said = load(tmp_path / name, **settings)
    assert histories(dataset) == {"u": ABCD, "v": ABCD}
    assert not [line for line in said if "warning" in line]


MIXED = ["2023-11-14 22:30:01+02:00", "2023-11-14 22:30:02", "2023-11-14 22:30:03", "2023-11-14 22:30:04"]
WARNED = {
    "times with and without a zone": ("a.csv", at(MIXED), "6 of 8 times name no zone and count as UTC"),
    "errors of a spreadsheet": ("a.csv", text([*rows(), *rows(users=("#REF!",))]), "have the user id '#REF!'"),
    "structures as ids": ("a.jsonl", "".join(json.dumps({**r, "user": {"id": r["user"]}}) + "\n" for r in records()),
                          'user ids are structures or lists, such as {"id":"u"}'),
    "quoted ids after blanks": ("a.csv", text([(u, f' "{i}"', t) for u, i, t in rows()]), "begin with a quotation mark"),
}  # fmt: skip


@pytest.mark.parametrize("what", WARNED)
def test_is_a_warning(what, tmp_path):
    name, content, words = WARNED[what]
    (tmp_path / name).write_text(content)
    (said,) = [line for line in load(tmp_path / name)[1] if line.startswith("warning: ")]
    assert words in said


LATIN = json.dumps({**records()[0], "title": "été"}, ensure_ascii=False).encode("latin-1")
REFUSED = {
    "dates and numbers": ("a.csv", at([BEGIN, "2023-11-14", BEGIN, BEGIN]), "'2023-11-14' in row 2 is not a number as in the rows before"),
    "day first": ("a.csv", at(["14/11/2023"] * 4), "is not a number (Unix seconds) or an ISO date"),
    "a date of zeros": ("a.csv", at(["2023-11-14", "0000-00-00", "2023-11-14", "2023-11-14"]), "'0000-00-00' in row 2 is not a date"),
    "30 February": ("a.csv", at(["2023-02-28", "2023-02-30", "2023-02-28", "2023-02-28"]), "'2023-02-30' in row 2 is not a date"),
    "an escaped NULL": ("a.csv", NOTED + '\\N,"a",1,"x \\"y\\""\n', "user id in row 9 is missing"),
    "a footer": ("a.csv", text(rows()) + "Total,,8\n", "item id in row 9 is missing"),
    "a title above the header": ("a.csv", "Report\n" + text(rows()), "if these are several, say what separates them with --separator"),
    "aligned columns": ("a.txt", "user   item  time\nu      a     1\n", "if these are several, say what separates them"),
    "JSON in another encoding": ("a.jsonl", LATIN + b"\n", "line 1 is not UTF-8; it reads as cp1252: add --encoding cp1252"),
    "Python in another encoding": ("a.json", python_lines(records()).replace("'a'", "'é'").encode("latin-1"), "add --encoding cp1252"),
    "Python's code": ("a.json", "{'user': print(1), 'item': 2, 'time': 3}\n", "line 1 is no dictionary of Python"),
    "a field twice in a record": ("a.jsonl", '{"user": 1, "item": 2, "item": 3, "time": 4}\n', "has duplicate key"),
    "JSON without records": ("a.json", json.dumps([list(row) for row in rows()]), "its values are no records"),
    "a list that numpy cut short": ("a.csv", 'user,items\nu,"[1 2 3 ... 8 9]"\n', "the list in row 1 is cut short by '...'"),
    "times shorter than items": ("a.jsonl", '{"user": 1, "items": [1, 2, 3], "times": [1]}\n', "row 1 has 3 items and 1 times"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_with_the_place_and_the_rule(what, tmp_path):
    name, content, words = REFUSED[what]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value)
