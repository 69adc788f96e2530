"""The commands in the documents exist, with the options that are given to them."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from cluster import doctor
from fame import explain, recommend, train
from fame.datasets import __main__ as datasets
from fame.errors import UserError
from fame.text import __main__ as text_stage
from tuning import compare
from tuning.dashboards import __main__ as dashboards
from tuning.plan import options
from tuning.plan.sweep_plan import make_plan
from tuning.registry import __main__ as registry

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cluster/**/*.md")])
PARSERS = {
    "cluster.doctor": doctor.parser,
    "fame.train": train.parser,
    "fame.recommend": recommend.parser,
    "fame.explain": explain.parser,
    "tuning.registry": registry.parser,
    "tuning.dashboards": dashboards.parser,
    "fame.datasets": datasets.parser,
    "fame.text": text_stage.parser,
}
OTHER_MODULES = {"venv", "pip", "pytest", "ruff"}
SHELL = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1"}


def commands(text: str) -> list[str]:
    """The lines of fenced (not YAML) and indented code blocks that run python or make."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += [line.strip() for line in outside.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`((?:python|make) [^`\n]+)`", outside)
    lines = [re.sub(r"^(\$ |\w+=\S+ )+", "", line) for line in lines]
    return [line for line in lines if re.match(r"(python3?|make) ", line)]


def problem(command: str) -> str | None:
    """What is wrong with a command; None if it would start."""
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
        chosen, _ = options.parse(words[3 if words[1] == "-m" else 2 :])
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
    return None if (ROOT / words[1]).is_file() else f"there is no file {words[1]}"


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


def sentences(text: str) -> list[str]:
    """Sentences of a document, without code, tables, pictures and the addresses of links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||!|#|<!--).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    blocks = re.split(r"\n\s*\n|\n- ", text)
    return [part for block in blocks for part in re.split(r"(?<=[.:;?!])\s", " ".join(block.split())) if part]


def test_the_readme_is_short_and_so_are_its_sentences():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    assert not [sentence for sentence in sentences(readme) if len(sentence.split()) > 25]
