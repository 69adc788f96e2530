"""Delimited text: what its file does not say is found out, and said."""

from __future__ import annotations

import gzip
import os
import random

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import dataset_of, load, rows, text


def test_titles_with_stray_marks_keep_their_items(tmp_path):
    path, items = tmp_path / "a.csv", tmp_path / "items.tsv"
    path.write_text(text(rows()))
    items.write_text('item\ttitle\na\t"Heroes\nb\t6" nails\nc\tPlain\nd\t"Low\n')
    assert list(load(path, items=str(items))[0].items.columns["title"]) == ['"Heroes', '6" nails', "Plain", '"Low']


def test_what_was_found_out_is_said_once(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(), ";"))
    assert load(tmp_path / "a.csv")[1] == [f"{tmp_path}/a.csv: columns are separated by semicolons"]
    assert load(tmp_path / "a.csv", separator=";")[1] == []


def test_quoted_values_may_hold_delimiters_and_newlines(write):
    path = write("a.csv", "user,review,item,time", *(f'1,"so, ""good""\nreally",{i},{i}' for i in range(3)))
    assert dataset_of(path).sequences[0].tolist() == [1, 2, 3]


def test_random_lines_of_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user,item,time\n" + random.Random(0).randbytes(1_000_000))
    with pytest.raises(UserError, match=r"a.csv"):
        dataset_of(str(path))


def test_truncated_gzip(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"user,item,time\n" + os.urandom(300_000).hex().encode())[:-1000])
    with pytest.raises(UserError, match=r"cannot read .*a.csv.gz as CSV"):
        dataset_of(str(path))
