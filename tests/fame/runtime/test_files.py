"""Files and folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.errors import UserError
from fame.runtime.files import replaced, replacing, writing


def fails(file: Path) -> None:
    file.write_text("half")
    raise ArithmeticError


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with replaced(path) as file:
        file.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(ArithmeticError), replaced(path) as file:
        fails(file)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for text in ("before", "after"):
        with replacing(folder) as new:
            (new / "file").write_text(text)
    with pytest.raises(ArithmeticError), replacing(folder) as new:
        fails(new / "file")
    assert (folder / "file").read_text() == "after" and list(tmp_path.iterdir()) == [folder]


def test_a_failure_to_write_is_one_line_about_the_place(tmp_path: Path) -> None:
    line = r"cannot write .*there: No such file or directory; free space or choose"
    with pytest.raises(UserError, match=line), writing(tmp_path / "there"):
        (tmp_path / "there" / "file").write_text("text")
