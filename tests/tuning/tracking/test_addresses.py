"""Addresses of SQLite files in any folder, a deleted experiment, and pages in messages."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from fame.errors import UserError
from tuning.tracking.store import check_experiment, check_tracking_uri, database_file, first_line


@pytest.mark.parametrize("name", ["what?", "a%20b", "c#d", "a b", "é", "100%", "a&b=c"])
def test_a_working_folder_of_any_name(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    uri = check_tracking_uri("sqlite:///mlflow.db")
    assert check_tracking_uri(uri) == uri
    assert database_file(uri) == Path.cwd() / "mlflow.db"


def test_a_question_mark_that_is_not_written_as_such():
    with pytest.raises(UserError, match="write %3F"):
        check_tracking_uri("sqlite:///what?/mlflow.db")


def test_a_deleted_experiment_is_found_without_mlflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = check_tracking_uri("sqlite:///mlflow.db")
    check_experiment(uri, "own")
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE experiments (experiment_id INT, name TEXT, lifecycle_stage TEXT)")
        database.execute("INSERT INTO experiments VALUES (7, 'own', 'deleted'), (8, 'other', 'active')")
        database.commit()
    check_experiment(uri, "other")
    with pytest.raises(UserError, match=r"'own' at .* was deleted; bring it back with: .*--experiment-id 7"):
        check_experiment(uri, "own")


def test_a_page_is_no_message():
    text = "API request to endpoint failed with error code 404 != 200. Response body: '<!doctype html>\n<html lang=en>'"
    assert first_line(ValueError(text)) == "API request to endpoint failed with error code 404 != 200"
