"""The cache of prepared data, the fingerprint, and what a dataset offers."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fame.config import DataConfig
from fame.config.tree import section_from_dict, to_dict
from fame.datasets import TextColumn, load_dataset, store
from fame.errors import UserError
from fame.registry import datasets

SMALL = DataConfig(name="synthetic", size={"users": 50, "items": 40, "length": 8})


def load(config: DataConfig = SMALL, lines: list[str] | None = None):
    return load_dataset(config, report=(lines if lines is not None else []).append)


def prepared_folder(cache_folder: Path) -> Path:
    (folder,) = (cache_folder / "prepared").iterdir()
    return folder


def no_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fame.datasets.prepare.prepare", lambda *_: pytest.fail("prepared again"))


def test_a_second_load_only_maps_the_files(monkeypatch):
    first = load()
    no_preparation(monkeypatch)
    second = load()
    assert np.array_equal(first.sequences.values, second.sequences.values)
    assert first.config == second.config
    assert second.config.fingerprint == second.fingerprint
    with pytest.raises(ValueError, match=r"read-only"):
        second.sequences.values[0] = 1
    assert second.sequences.values.dtype == np.int32
    assert type(second.sequences.values) is np.ndarray


def test_the_resolved_configuration_loads_the_same_again():
    dataset = load()
    again = load(section_from_dict(DataConfig, to_dict(dataset.config), "data"))
    assert again.config == dataset.config
    assert None not in (again.config.core, again.config.fingerprint)


def test_another_fingerprint_is_an_error():
    fingerprint = load().fingerprint
    other = dataclasses.replace(SMALL, fingerprint="0123456789abcdef")
    with pytest.raises(UserError, match=f"data.fingerprint = 0123456789abcdef: synthetic from .* is {fingerprint}, "):
        load(other)


def test_settings_and_changed_files_are_prepared_anew(tmp_path, write):
    path = write("a.csv", "user,item,time", *(f"1,{i},{i}" for i in range(4)))
    config = DataConfig(name="own", path=path, core=1)
    assert load(config).statistics["actions"] == 4
    with Path(path).open("a") as file:
        file.write("1,9,9\n")
    assert load(config).statistics["actions"] == 5
    with pytest.raises(UserError, match=r"leaves nothing"):
        load(DataConfig(name="own", path=path, core=2))


@pytest.mark.parametrize("file", ["values.npy", "offsets.npy", "meta.json", "item_ids.npy", "column0_data.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_prepared_data_is_rebuilt(file, damage, cache_folder):
    fingerprint = load().fingerprint
    path = prepared_folder(cache_folder) / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: -10 if damage == "cut" else 0])
    lines: list[str] = []
    assert load(lines=lines).fingerprint == fingerprint
    assert len(lines) == 1
    assert "is damaged" in lines[0]
    assert "preparing it again" in lines[0]
    assert load().fingerprint == fingerprint


def test_a_failure_while_writing_leaves_nothing(cache_folder, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(UserError, match=r"cannot write to the cache .*No space left on device; set FAME_DATA"):
        load()
    assert list((cache_folder / "prepared").iterdir()) == []


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot write to the cache"):
        load()


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
    load()
    folder = prepared_folder(cache_folder)
    folder.rename(folder.with_name(f".{folder.name}-abcd"))
    load()
    assert prepared_folder(cache_folder) == folder


def test_imports_stay_light(write, tmp_path):
    own = {"name": "own", "core": 1, "path": write("a.csv", "user,item,time", "1,1,1", "1,2,2", "1,3,3")}
    zipped = {"name": "ml-20m", "core": 1, "min_history": 3, "dir": str(tmp_path)}
    with zipfile.ZipFile(tmp_path / "ml-20m.zip", "w") as file:
        file.writestr("ml-20m/ratings.csv", "userId,movieId,timestamp,rating\n1,1,1,5\n1,2,2,5\n1,3,3,5\n")
    for settings in (own, zipped):
        load(DataConfig(**settings))
    load()
    code = (
        "import sys, fame.datasets\n"
        "heavy = {'pandas', 'pyarrow', 'ray', 'mlflow', 'transformers', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from fame.config import DataConfig\n"
        f"for settings in ({own}, {zipped}, {{'name': 'synthetic', 'size': {SMALL.size}}}):\n"
        "    fame.datasets.load_dataset(DataConfig(**settings))\n"
        "heavy |= {'filelock', 'rich', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_ids_are_found_by_their_text(write):
    rows = [f"{user},{item},{time}" for user in ("al", "bo") for time, item in enumerate((30, 4, 500))]
    dataset = load(DataConfig(name="own", path=write("a.csv", "user,item,time", *rows), core=1))
    assert [dataset.items.number(t) for t in ("4", "30", "500")] == [1, 2, 3]
    assert [dataset.items.number(t) for t in ("04", "5", "x", "", "501", "-4", "9" * 30)] == [None] * 7
    assert [dataset.user(t) for t in ("al", "bo", "a", "zz")] == [0, 1, None, None]
    assert dataset.items.id(2) == 30
    assert dataset.items.title(2) == "30"


def test_train_counts_leave_out_the_held_out_items(write):
    rows = ["1,1,1", "1,2,2", "1,1,3", "1,3,4", "1,2,5"]
    path = write("a.csv", "user,item,time", *rows)
    dataset = load(DataConfig(name="own", path=path, core=1, repeats="keep"))
    assert dataset.train_counts.tolist() == [0, 2, 1, 0]


def test_text_columns_hold_any_text():
    texts = ["", "a", "Ünï\n✓", "", "z" * 1000]
    column = TextColumn.from_strings(texts)
    assert list(column) == texts == [column[i] for i in range(5)]
    assert column[-1] == texts[-1]
    assert len(column) == 5
    assert list(pickle.loads(pickle.dumps(column))) == texts
    with pytest.raises(IndexError):
        column[5]
    assert list(TextColumn.from_strings([])) == []


def test_a_saved_dataset_loads_from_any_folder(tmp_path):
    dataset = load()
    store.save(dataset, tmp_path / "copy")
    copy = store.load(tmp_path / "copy")
    assert copy.config == dataset.config
    assert copy.statistics == dataset.statistics
    assert copy.items_fingerprint == dataset.items_fingerprint
    assert copy.facets == dataset.facets


def test_a_new_dataset_is_one_registration(monkeypatch):
    monkeypatch.setattr(datasets, "entries", {**datasets.entries, "mine": datasets.get("synthetic")})
    assert load(DataConfig(name="mine")).config.name == "mine"


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        UserError, match=r"the package pyarrow is not installed; pip install 'fame-tuning\[data\]' brings it"
    ):
        load()
