"""The public names: exported, documented, without heavy imports; their examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pydoc
from pathlib import Path

import pytest

import fame
import tuning

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    "fame.datasets.dataset",
    "fame.library.fitting",
    "fame.library.model",
    "fame.library.settings",
    "tuning.library.sweep",
    "tuning.library.tune",
]


def test_public_names_are_there_and_documented():
    for package in (fame, tuning):
        assert set(package.__all__) <= set(dir(package))
        for name in package.__all__:
            assert inspect.getdoc(getattr(package, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'recommend_all'"):
        fame.recommend_all  # noqa: B018


def test_help_shows_the_functions():
    assert "tune(data" in pydoc.plain(pydoc.render_doc(tuning))
    text = pydoc.plain(pydoc.render_doc(fame))
    for words in ("fame.fit(data", "fit(", "load(", "class Dataset", "from_pandas(", "class Model", "recommend("):
        assert words in text, words


def test_every_public_function_says_what_it_raises():
    owners = [fame, fame.Dataset, fame.Model, tuning, tuning.Sweep]
    names = ["fit", "load", "from_pandas", "from_files", "named", "recommend", "save", "tune", "open_sweep", "report"]
    found = {name: inspect.getdoc(getattr(owner, name)) for owner in owners for name in names if hasattr(owner, name)}
    assert [name for name, text in found.items() if text is None or "Raises `UserError`" not in text] == []


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module, tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert result.attempted > 0
    assert result.failed == 0


def test_no_example_is_left_untested():
    having = []
    for path in sorted([*(ROOT / "fame").rglob("*.py"), *(ROOT / "tuning").rglob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)]
        if any(">>> " in (ast.get_docstring(node) or "") for node in nodes):
            having.append(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    assert having == EXAMPLES
