"""The beginning of a text says its separator, its quoting and its header."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import histories, load, rows, text


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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_first_lines(end, tmp_path):
    (tmp_path / "a.csv").write_bytes((end * 3 + text(rows()).replace("\n", end)).encode())
    assert load(tmp_path / "a.csv")[0].statistics["actions"] == 8


def test_a_file_without_a_header_says_how_to_name_columns(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(users=(1, 2), ids=(3, 4, 5))).partition("\n")[2])
    with pytest.raises(
        UserError, match=r"looks like a row, not like column names \(1, 3, 1700000000\); .* user=1,item=2"
    ):
        load(tmp_path / "a.csv")
    assert load(tmp_path / "a.csv", columns={"user": "1", "item": "2", "time": "3"})[0].statistics["actions"] == 6
