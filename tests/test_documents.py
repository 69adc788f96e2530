"""The documents are true: commands start, the tutorial runs, pages are up to date, sentences are short."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import doctor
from docs import generate_settings
from fame import evaluate, explain, recommend, train
from fame.datasets import __main__ as datasets
from fame.errors import UserError
from fame.text import __main__ as text_stage
from tests.walkthrough import blocks, copy_program, follow, not_printed, section
from tuning import compare
from tuning.dashboards import __main__ as dashboards
from tuning.plan import command_line
from tuning.plan.new_plan import make_plan
from tuning.registry import __main__ as registry

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cluster/**/*.md")])
PARSERS = {
    "cluster.doctor": doctor.parser,
    "fame.train": train.parser,
    "fame.evaluate": evaluate.parser,
    "fame.recommend": recommend.parser,
    "fame.explain": explain.parser,
    "tuning.registry": registry.parser,
    "tuning.dashboards": dashboards.parser,
    "fame.datasets": datasets.parser,
    "fame.text": text_stage.parser,
}
WRITTEN = {"shop.py"}
"""Files that the tutorial's reader writes."""
OTHER_MODULES = {"venv", "pip", "pytest", "ruff"}
SHELL = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1"}


def commands(text: str) -> list[str]:
    """The lines of fenced (not YAML) and indented code blocks that run python or make."""
    text = text.replace("\\\n", " ")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fenced if language in ("", "bash", "sh", "console")]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += [line.strip() for line in outside.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`((?:python|make) [^`\n]+)`", outside)
    lines = [re.sub(r"^(\$ |\w+=\S+ )+", "", line) for line in lines]
    return [line for line in lines if re.match(r"(python3?|make) ", line)]


def problem(command: str) -> str | None:
    """Return the fault of a command; None if it would start."""
    words = shlex.split(command, comments=True)
    words = words[: next((i for i, word in enumerate(words) if word in SHELL), len(words))]
    try:
        return _problem(words)
    except SystemExit as left:
        return None if left.code == 0 else "the parser refuses it"
    except UserError as error:
        return str(error)


def _problem(words: list[str]) -> str | None:
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        unknown = [word for word in words[1:] if "=" not in word and word not in targets]
        return f"the Makefile has no target {unknown[0]}" if unknown else None
    if words[1] == "tuning/sweep.py" or words[1:3] == ["-m", "tuning.sweep"]:
        chosen, _ = command_line.parse(words[3 if words[1] == "-m" else 2 :])
        if not chosen.resume and (chosen.space is None or "." not in chosen.space):
            make_plan(chosen)
        return None
    if words[1] == "tuning/compare.py":
        compare.parser().parse_args(words[2:])
        return None
    if words[1] == "-m":
        if words[2] in PARSERS:
            parser: argparse.ArgumentParser = PARSERS[words[2]]()
            parser.parse_args(words[3:])
            return None
        path = ROOT / words[2].replace(".", "/")
        known = words[2] in OTHER_MODULES or path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        return None if known else f"there is no module {words[2]}"
    return None if (ROOT / words[1]).is_file() or words[1] in WRITTEN else f"there is no file {words[1]}"


FOUND = [
    pytest.param(command, id=f"{document.name}: {command}")
    for document in DOCUMENTS
    for command in dict.fromkeys(commands(document.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("command", FOUND)
def test_a_command_in_a_document_would_start(command):
    assert problem(command) is None


def test_the_readme_has_the_main_commands():
    found = " ".join(commands((ROOT / "README.md").read_text(encoding="utf-8")))
    for words in ("make sweep", "make test", "python tuning/sweep.py", "fame.train", "fame.recommend", "fame.datasets"):
        assert words in found


@pytest.mark.parametrize(
    "command",
    [
        "python tuning/sweep.py --datset beauty",
        "python tuning/sweep.py --set model.haeds=2",
        "python tuning/sweep.py --space papr",
        "python -m tuning.sweep --scheduler ahsa",
        "python -m fame.train --model fame",
        "python -m fame.train --seeds many  # of them",
        "python -m fame.recommend --model DIR",
        "python -m fame.datasets --all",
        "python -m fame.tarin",
        "python tuning/gone.py",
        "python tuning/compare.py --html page.html",
        "make sweeep",
    ],
)
def test_a_wrong_command_is_found(command):
    assert problem(command) is not None


def test_commands_are_found_wherever_they_stand():
    text = """
Run `make a` or `python b.py --x`, not `runs/`:

    python c.py

```bash
FAME_DATA=x python d.py \\
    --y 1
$ make e
ls f
```

```yaml
make g
```
"""
    assert [" ".join(command.split()) for command in commands(text)] == [
        "python d.py --y 1", "make e", "python c.py", "make a", "python b.py --x",
    ]  # fmt: skip


# How the documents are written.

PAGES = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY", "cluster/README")]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def sentences(text: str) -> list[str]:
    """Sentences of a document, without code, tables, pictures and the addresses of links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||!|#|<!--).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    blocks = re.split(r"\n\s*\n|\n- ", text)
    return [part for block in blocks for part in re.split(r"(?<=[.:;?!])\s", " ".join(block.split())) if part]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_are_short(path):
    assert not [sentence for sentence in sentences(path.read_text(encoding="utf-8")) if len(sentence.split()) > 25]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_no_file_outside_the_repository(path):
    assert not re.findall(r"DESIGN|\.\./shared", path.read_text(encoding="utf-8"))


def test_every_path_in_the_architecture_exists():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:fame|tuning|cluster|tests|docs)/[\w./-]*)`", text)
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_page_of_settings_is_up_to_date():
    assert generate_settings.PAGE.read_text(encoding="utf-8") == generate_settings.page(), (
        "run python -m docs.generate_settings"
    )


def docstrings(path: Path) -> Iterator[str]:
    """Yield the strings that stand alone in a Python file: docstrings, also of fields and constants."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


RIDDLES = ("Of ", "That ", "Those ", "What ", "Which ", "Who ")
"""First words of a docstring that names no thing. It starts with a verb or a noun."""


def test_docstrings_start_with_a_verb_or_a_noun():
    packages = ("fame", "tuning", "cluster", "benchmarks", "docs", "tests")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 300
    assert [
        f"{path.relative_to(ROOT)}: {text}" for path in files for text in docstrings(path) if text.startswith(RIDDLES)
    ] == []


# The page on Python.


def python_blocks(page: str) -> list[str]:
    """Code of a page of docs/, without the blocks that start a sweep."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_on_python_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    code = "".join(block for block in python_blocks("PYTHON.md") if "tune" not in block)
    names: dict[str, Any] = {}
    exec(code, names)
    assert repr(names["data"]) in code
    assert (tmp_path / "shop" / "model.safetensors").exists()


# The tutorial.

TUTORIAL = section("TUTORIAL.md", "1.", "10.")


@pytest.mark.slow
def test_the_tutorial_runs_and_prints_what_it_says(tmp_path):
    copy_program(tmp_path)
    (script,) = blocks(TUTORIAL, "python")
    (tmp_path / "shop.py").write_text(script, encoding="utf-8")
    printed = follow(TUTORIAL, tmp_path)
    assert not_printed(TUTORIAL, printed) == []
    assert not [line for line in printed if line.startswith("error: ")]
    assert "tea-" in printed[-1], "the served answer"
