"""The first hour with a German shop's files: from the CSV to an answer over HTTP, each line that is printed."""

from __future__ import annotations

import json
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.tuning.model_server import serving
from tests.tuning.sweeps import Sweeps

pytestmark = pytest.mark.slow

DATA = (
    *("--data", "kaeufe.csv", "--columns", "user=Kunde,item=Article No.,time=Zeitpunkt"),
    *("--time-format", "%d.%m.%Y %H:%M", "--items", "artikel.csv", "--facets", "Category,price €:4"),
)
SMALL = ("--space", "quick", "--set", "model.dim=16", "--set", "train.precision=float32")
ARTICLES = 45


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    """80 customers who mostly buy the third article after the last one."""
    sweeps, rng = Sweeps(tmp_path_factory.mktemp("hour")), random.Random(3)
    items = [f"A-{a};Creme Nr. {a};{('Haar', 'Haut', 'Duft')[a % 3]};{a},49" for a in range(ARTICLES)]
    rows = []
    for user in range(80):
        when, article = datetime(2024, 1, 2, 9) + timedelta(minutes=37 * user), rng.randrange(ARTICLES)
        for _ in range(rng.randint(5, 12)):
            rows.append(f"K{user:04d};A-{article};{when:%d.%m.%Y %H:%M}")
            when += timedelta(days=rng.randint(0, 9), minutes=rng.randint(1, 600))
            article = (article + (3 if rng.random() < 0.7 else rng.randint(1, ARTICLES - 1))) % ARTICLES
    _write(sweeps.folder / "artikel.csv", "Article No.;Product Name;Category;price €", items)
    _write(sweeps.folder / "kaeufe.csv", "Kunde;Article No.;Zeitpunkt", rows)
    return sweeps


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_every_mistake_on_the_way_names_the_next_option(shop):
    done = shop.module("fame.datasets", *DATA[:2])
    assert done.returncode == 2 and "--columns user=NAME; columns there: Kunde, Article No., Zeitpunkt" in done.stderr
    done = shop.module("fame.datasets", *DATA[:4])
    assert done.returncode == 2 and "--time-format '%d.%m.%Y %H:%M'" in done.stderr
    done = shop.module("fame.datasets", *DATA)
    assert done.returncode == 0 and "facets Category, price €:4\n" in done.stdout, done
    assert re.search(r"facet +Category: 3 labels; 100.0% of the items", done.stdout)


def test_from_the_file_to_a_served_answer(shop):
    done = shop.run(*DATA, *SMALL, "--trials", "2", "--epochs", "3", "--name", "hour")
    assert done.returncode == 0, done.stdout + done.stderr
    said, notes = re.sub(r"\s+", " ", done.stdout), re.sub(r"\s+", " ", done.stderr)
    assert "columns are separated by semicolons" in notes and "titles are in 'Product Name'" in notes
    assert "user = Kunde, item = Article No., time = Zeitpunkt, title = Product Name" in said
    assert re.search(r"\d+ users, \d+ items, \d+ interactions.* rows read; left out \d+ by first of each pair", said)
    assert "trials 2, at most 3 epochs" in said and "first 2 given" in said
    assert "best " in said and "model runs/hour/best" in said and "kaeufe version 1 is champion" in said

    user = shop.module("fame.recommend", "--model", "runs/hour/best", "--user", "K0003", "--top", "3")
    assert user.returncode == 0 and user.stdout.count("Creme Nr.") >= 3, user
    users = shop.module("tuning.registry", "--model", "runs/hour/best", "--users")
    assert "kaeufe version 2 is champion" in users.stdout, users
    (command,) = re.findall(r"serve it: (.*)", users.stdout)
    away = shop.folder / "away"
    away.mkdir()
    with serving(command.replace("sqlite:///mlflow.db", shop.uri), away) as ask:
        rows = [{"history": ["A-1", "A-4"], "top": 3, "where": {"Category": "Haut"}}, {"user": "K0003", "top": 3}]
        status, found = ask(json.dumps({"dataframe_records": rows}).encode())
        assert status == 200, found
        by_history, by_user = found["predictions"]
        assert all(re.fullmatch(r"Creme Nr. \d+", item["title"]) for item in by_history["items"] + by_user["items"])
        assert all(int(item["id"].removeprefix("A-")) % 3 == 1 for item in by_history["items"])
        assert [item["title"] in user.stdout for item in by_user["items"]] == [True] * 3
        status, refused = ask(b'{"dataframe_split": {"columns": ["Kunde"], "data": [["K0003"]]}}')
        assert status == 400 and "Kunde: a request has no such field" in refused["message"]
