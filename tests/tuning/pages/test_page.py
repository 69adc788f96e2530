"""Pages are filled from templates, escaped, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from fame.errors import UserError
from tuning.pages.page import render, write_page


def test_a_value_that_is_missing_is_an_error_of_ours() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("compare.html")


def test_a_page_replaces_the_one_before(tmp_path: Path) -> None:
    for text in ("first", "größer"):
        write_page(tmp_path / "page.html", text)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "größer"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*page.html: Is a directory; free space or choose another"):
        write_page(tmp_path / "page.html", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
