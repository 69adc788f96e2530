"""Fixtures of data: a cache folder for each test without a network, and files of some lines."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FAME_DATA", str(folder))
    # nothing listens on the discard port: a test that means to download sets its own server
    monkeypatch.setenv("FAME_DOWNLOAD_URL", "http://127.0.0.1:9")
    return folder


@pytest.fixture
def write(tmp_path: Path):
    """Writes a file with these lines and returns its path as text."""

    def write_lines(name: str, *lines: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return str(path)

    return write_lines
