"""The tutorial's section on a German shop's files: from the CSV to an answer over HTTP, each line that is printed."""

from __future__ import annotations

import json
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.walkthrough import copy_program, follow, not_printed, section

SECTION = section("TUTORIAL.md", "10.", "Next")
ARTICLES = 45


def write_shop(folder: Path) -> None:
    """Write the files of 80 customers who mostly buy the third article after the last one."""
    rng = random.Random(3)
    items = [f"A-{a};Creme Nr. {a};{('Haar', 'Haut', 'Duft')[a % 3]};{a},49" for a in range(ARTICLES)]
    rows = []
    for user in range(80):
        when, article = datetime(2024, 1, 2, 9) + timedelta(minutes=37 * user), rng.randrange(ARTICLES)
        for _ in range(rng.randint(5, 12)):
            rows.append(f"K{user:04d};A-{article};{when:%d.%m.%Y %H:%M}")
            when += timedelta(days=rng.randint(0, 9), minutes=rng.randint(1, 600))
            article = (article + (3 if rng.random() < 0.7 else rng.randint(1, ARTICLES - 1))) % ARTICLES
    _write(folder / "artikel.csv", "Article No.;Product Name;Category;price €", items)
    _write(folder / "kaeufe.csv", "Kunde;Article No.;Zeitpunkt", rows)


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_from_the_file_to_a_served_answer(tmp_path):
    copy_program(tmp_path)
    write_shop(tmp_path)
    printed = follow(SECTION, tmp_path)
    assert not_printed(SECTION, printed) == []
    assert len([line for line in printed if line.startswith("error: ")]) == 2, "the two mistakes"
    by_user, by_history = json.loads(printed[-1])["predictions"]
    served = by_user["items"] + by_history["items"]
    assert all(re.fullmatch(r"Creme Nr. \d+", item["title"]) for item in served)
    assert all(int(item["id"].removeprefix("A-")) % 3 == 1 for item in by_history["items"]), "the category Haut"
    asked = [line for line in printed if "Creme Nr. " in line and "history" not in line]
    assert [any(line.endswith(f"  {item['title']}") for line in asked) for item in by_user["items"]] == [True] * 3
