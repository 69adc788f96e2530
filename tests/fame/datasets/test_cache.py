"""The cache folder: whole or not there, and written by one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import load_config, prepared_folder


def test_a_failure_while_writing_leaves_nothing(cache_folder, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(UserError, match=r"cannot write to the cache .*No space left on device; set FAME_DATA"):
        load_config()
    assert list((cache_folder / "prepared").iterdir()) == []


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot write to the cache"):
        load_config()


def test_processes_at_once_prepare_once(cache_folder):
    code = (
        "from fame.config import DataConfig\nfrom fame.datasets import load_dataset, store\nsave = store.save\n"
        "store.save = lambda *a: (print('prepared'), save(*a))\n"
        "load_dataset(DataConfig(name='synthetic', size={'users': 3000}))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    output = b"".join(process.communicate(timeout=60)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert output == b"prepared\n"
    assert len(list((cache_folder / "prepared").iterdir())) == 1


def test_what_a_killed_process_left_is_removed(cache_folder):
    load_config()
    folder = prepared_folder(cache_folder)
    folder.rename(folder.with_name(f".{folder.name}-abcd"))
    load_config()
    assert prepared_folder(cache_folder) == folder
