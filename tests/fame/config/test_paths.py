"""Paths of configuration files: seen from the file, without folders, and found again."""

from __future__ import annotations

from pathlib import Path

from fame.config.paths import bare, found_beside, near


def tree(path: str, encoder: str = "minilm") -> dict[str, dict[str, object]]:
    return {"data": {"name": "own", "path": path}, "text": {"encoder": encoder}, "train": {"epochs": 1}}


def test_absolute_paths_are_seen_from_the_folder_and_others_stay():
    found = near(tree("/a/b/x.csv,s3://bucket/y.csv,/a/z.csv", "/a/models/mine"), Path("/a/runs/best"))
    assert found["data"]["path"] == "../../b/x.csv,s3://bucket/y.csv,../../z.csv"
    assert found["text"]["encoder"] == "../../models/mine"
    assert near(tree("x.csv"), Path("/a")) == tree("x.csv")


def test_other_machines_get_names():
    assert bare(tree("/a/b/x.csv,/a/*.csv", "/a/models/mine/")) == tree("x.csv,*.csv", "mine")


def test_a_relative_path_is_that_of_the_working_directory_or_else_of_the_files_folder(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x, y.csv").write_text("")
    (tmp_path / "x.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    assert found_beside(tree("x.csv"), tmp_path / "there") == tree("x.csv")
    assert found_beside(tree("x, y.csv"), tmp_path / "there") == tree(str(tmp_path / "there" / "x, y.csv"))
    monkeypatch.chdir(tmp_path / "there")
    assert found_beside(tree("../x.csv,gone.csv"), tmp_path / "there") == tree("../x.csv,gone.csv")
    monkeypatch.chdir("/")
    assert found_beside(tree("../x.csv,gone.csv"), tmp_path / "there") == tree(f"{tmp_path / 'x.csv'},gone.csv")


def test_values_of_a_wrong_type_are_left_to_the_checks():
    assert found_beside({"data": 3, "text": {"encoder": None}}, Path("/a")) == {"data": 3, "text": {"encoder": None}}
