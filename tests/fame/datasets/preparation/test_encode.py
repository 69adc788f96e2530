"""Ids come back as they were; what cannot be an id or a time is named with its row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fame.datasets.preparation.encode import IdEncoder, parse_ratings
from fame.errors import UserError
from fame.tables.table import Rows
from tests.fame.datasets.files import BEGIN, histories, jsonl, load, rows, text

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(texts, st.integers(0, 10**15).map(str), st.integers(0, 99).map("{:03d}".format)), min_size=1))
def test_ids_come_back_as_they_were(ids):
    encoder = IdEncoder("user")
    half = len(ids) // 2
    codes = np.concatenate([encoder.encode(pa.array(part, pa.string()), Rows()) for part in (ids[:half], ids[half:])])
    back = encoder.ids()[codes].tolist()
    assert [str(i) for i in back] == ids
    assert (back[0].__class__ is int) == all(i.isascii() and i.isdigit() and str(int(i)) == i for i in ids)


def test_integer_columns_of_any_width_give_the_same_ids():
    for kind in (pa.int8(), pa.uint64(), pa.float64(), pa.string(), pa.large_string(), pa.string_view()):
        encoder = IdEncoder("item")
        column = pa.array([5, 3, 5]).cast(pa.string()).cast(kind)
        codes = encoder.encode(column, Rows())
        assert encoder.ids()[codes].tolist() == [5, 3, 5]
    encoder = IdEncoder("item")
    assert encoder.encode(pa.array(["a", "b", "a"]).dictionary_encode(), Rows()).tolist() == [0, 1, 0]


def test_ids_keep_their_codes_whatever_type_later_chunks_have():
    encoder = IdEncoder("user")
    columns = pa.array([7, 8]), pa.array([8, 9]), pa.array(["9", "x"]), pa.array([7, 2**64 - 1], pa.uint64())
    assert [encoder.encode(column, Rows()).tolist() for column in columns] == [[0, 1], [1, 2], [2, 3], [0, 4]]
    ids, codes = encoder.sorted_ids()
    assert ids.tolist() == ["18446744073709551615", "7", "8", "9", "x"] and codes.tolist() == [4, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([1, None]), "user id in row 12 is missing"),
        (pa.array([1.0, float("nan")]), "user id in row 12 is missing"),
        (pa.array(["a", ""]), "user id in row 12 is missing"),
        (pa.array([1.0, 1.5]), "user id 1.5 in row 12: ids must be integers"),
        (pa.array(["a", "b" * 201]), r"user id 'bbbbbbbbbbbbbbbbbbbb'… in row 12"),
        (pa.array([True, False]), "the column holds bool"),
    ],
)
def test_ids_that_cannot_be_used(column, words):
    with pytest.raises(UserError, match=words):
        IdEncoder("user").encode(column, Rows(first=11))


def test_negative_ids_are_ids():
    for column in (pa.array([1, 2, -7]), pa.array(["1", "2", "-7"]), pa.array([1.0, 2.0, -7.0])):
        encoder = IdEncoder("item")
        encoder.encode(column, Rows())
        assert encoder.ids().tolist() == [1, 2, -7]
    encoder = IdEncoder("item")
    encoder.encode(pa.array(["x", "-7", "-0"]), Rows())
    assert encoder.ids().tolist() == ["x", "-7", "-0"]


def test_a_missing_rating_is_named():
    assert parse_ratings(pa.array(["4", "4.5"]), Rows()).tolist() == [4.0, 4.5]
    with pytest.raises(UserError, match=r"rating 'good' in row 6"):
        parse_ratings(pa.array(["4", "good"]), Rows(first=5))
    with pytest.raises(UserError, match=r"rating '' in row 6"):
        parse_ratings(pa.array([4.0, None]), Rows(first=5))


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


def test_ids_written_in_two_ways_and_blanks_around_ids_are_named(tmp_path):
    (tmp_path / "a.csv").write_text(text(rows(ids=("1", "1.0", " 2", "3 "))))
    dataset, said = load(tmp_path / "a.csv")
    assert histories(dataset)["u"] == ["1", "1.0", "2", "3"]
    assert said[0] == "blanks around 2 item ids are left out"
    assert said[1].startswith("warning: 1 item ids are written in two ways, such as 1 and 1.0, and count as different")
    path = jsonl(tmp_path / "a.jsonl", [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=("a ", "b", "c"))])
    assert load(path)[1] == ["warning: 1 item ids have blanks around them, such as 'a '"]
