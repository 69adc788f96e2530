"""Writes the tables of `docs/PERFORMANCE.md` from `benchmarks/results`: `python -m benchmarks.page`.

A table stands between `<!-- NAME -->` and `<!-- end -->`, where NAME is a result's.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, Row

PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
TABLE = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with every table as the results have it."""
    return TABLE.sub(lambda match: match[1] + markdown(result(match[2])) + match[3], page)


def result(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def markdown(result: dict[str, Any]) -> str:
    """Rows as a table, and below it where they come from."""
    rows = [Row(**{key: value for key, value in row.items() if key != "reached"}) for row in result["rows"]]
    lines = ["| | measured | target | reached |", "| --- | ---: | ---: | --- |"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    versions = f"torch {result['torch']}, {result['cpus']} × {result['cpu']}, GPU: {result['gpus']}"
    lines += [
        "",
        f"`{module_command(result)}`, {result['date'][:10]}, commit {result.get('commit', '?')[:7]}; {versions}.",
    ]
    return "\n".join(lines) + "\n"


def module_command(result: dict[str, Any]) -> str:
    """The command without the interpreter's path and the folders of the machine."""
    words = result["command"].split()
    words = words[words.index("-m") :] if "-m" in words else words
    return re.sub(r"\S*/(?=[\w.-])", "…/", "python " + " ".join(words))


if __name__ == "__main__":
    main()
