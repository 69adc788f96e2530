"""Writes the tables of the pages under `docs/` from `benchmarks/results`: `python -m benchmarks.page`.

A table stands between `<!-- NAME -->` and `<!-- end -->`, where NAME is a result's. A result has `rows`
(measured figures with their targets), `faults` (what `tests/chaos` did to sweeps, and what that cost) or `models`
(how good trained models are, `benchmarks.quality`).
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, Row
from benchmarks.quality.tables import model_lines, summary_lines

DOCS = Path(__file__).parent.parent / "docs"
PAGES = (DOCS.parent / "README.md", DOCS / "PERFORMANCE.md", DOCS / "RELIABILITY.md", DOCS / "RESULTS.md")
TABLE = re.compile(r"(<!-- ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with every table as the results have it."""
    return TABLE.sub(lambda match: match[1] + markdown(result(match[2])) + match[3], page)


def result(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def markdown(result: dict[str, Any]) -> str:
    """A result as a table, and below it where it comes from."""
    if "benchmark" not in result:  # the summary of all quality tables, which comes from several commands
        return "\n".join(summary_lines(result)) + "\n"
    (kind,) = LINES.keys() & result.keys()
    lines = LINES[kind](result)
    versions = f"torch {result['torch']}, {result['cpus']} × {result['cpu']}, GPU: {result['gpus']}"
    lines += [
        "",
        f"`{module_command(result)}`, {result['date'][:10]}, commit {result.get('commit', '?')[:7]}; {versions}.",
    ]
    return "\n".join(lines) + "\n"


def row_lines(result: dict[str, Any]) -> list[str]:
    known = [Row(**{key: value for key, value in row.items() if key != "reached"}) for row in result["rows"]]
    head = ["| | measured | target | reached |", "| --- | ---: | ---: | --- |"]
    return head + ["| " + " | ".join(row.cells()) + " |" for row in known]


def fault_lines(result: dict[str, Any]) -> list[str]:
    head = ["| what happened | goes on | epochs trained again | lost |", "| --- | --- | ---: | --- |"]
    return head + [
        f"| {name} | {fault['heals']} | {fault['epochs_again']} in {fault['trials_again']} trials | {fault['lost']} |"
        for name, fault in result["faults"].items()
    ]


LINES = {"rows": row_lines, "faults": fault_lines, "models": model_lines}
"""By the key that a result has its figures under."""


def module_command(result: dict[str, Any]) -> str:
    """The command without the interpreter's path and the folders of the machine."""
    words = result["command"].split()
    words = words[words.index("-m") :] if "-m" in words else words
    return re.sub(r"[^\s='\"]*/(?=[\w.-])", "…/", "python " + " ".join(words))


if __name__ == "__main__":
    main()
