"""A package that is not installed is one line with the extra that brings it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fame
from fame.packages import EXTRAS, optional

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_packages_are_those_of_the_extras():
    for extra, packages in EXTRAS.items():
        stated = {Requirement(line).name.replace("-", "_") for line in PROJECT["optional-dependencies"][extra]}
        if extra == "tuning":
            stated |= {Requirement(line).name for line in PROJECT["optional-dependencies"]["data"]}  # rich
        assert {name.replace("faiss", "faiss_cpu") for name in packages} <= stated


def test_a_function_that_needs_one_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setenv("FAME_DATA", str(tmp_path))
    with pytest.raises(
        fame.UserError, match=r"the package pyarrow is not installed; pip install 'fame-tuning\[data\]'"
    ):
        fame.Dataset.from_pandas([])


def test_a_module_of_ours_keeps_its_error():
    with pytest.raises(ModuleNotFoundError, match=r"fame\.gone"), optional():
        raise ModuleNotFoundError("No module named 'fame.gone'", name="fame.gone")
