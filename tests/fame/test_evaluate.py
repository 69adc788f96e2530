"""Evaluating an exported model: its own metrics again, and other data with items and users that it does not know."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from fame import Dataset, evaluate, load
from fame.config.metrics import ACCURACY
from fame.serving.exported import load_model
from fame.serving.recommender import Recommender
from tests.commands import Done, call, write_lines
from tests.fame.test_recommend import ITEMS, cache, folder

__all__ = ["cache", "folder"]


def ask(folder: Path, *args: object) -> Done:
    return call(evaluate.main, "--model", folder, *args)


def results(folder: Path, output: Path, *args: object) -> dict:
    done = ask(folder, *args, "--output", output)
    assert done.code == 0, done.err
    return json.loads(output.read_text(encoding="utf-8"))


def test_on_its_own_data_a_model_has_the_metrics_of_its_export_to_the_last_digit(folder, tmp_path):
    exported = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = results(folder, tmp_path / "found.json")
    assert found["metrics"] == exported["test"]
    assert found["lists"] == exported["lists"]["test"]
    assert found["dataset"]["fingerprint"] == exported["dataset"]["fingerprint"]
    assert (found["users"], found["unknown_targets"], found["without_history"]) == (21, 0, 0)


def test_other_data_are_ranked_by_the_items_that_the_model_knows(folder, tmp_path):
    """`new` is unknown: left out of a history, and never found. One user has nothing else before the last item."""
    users = {
        "a": ["003", "new", "005", "009"],
        "b": ["001", "002", "new"],
        "c": ["new", "newer", "004"],
        "d": ["007", "008", "011"],
    }
    rows = [f"{user},{item},{time}" for user, items in users.items() for time, item in enumerate(items)]
    write_lines(tmp_path / "new.csv", "user,item,time", *rows)
    done = ask(folder, "--data", tmp_path / "new.csv", "--output", tmp_path / "found.json")
    assert done.code == 0, done.err
    assert "1 of 4 users have no known item before their test items: left out" in done.out
    assert "1 of 3 test items (33.3%) are unknown to the model: not found" in done.out
    recommender = Recommender(load_model(folder))
    ranks = [math.inf]
    for history, target in ((["003", "005"], "009"), (["007", "008"], "011")):
        numbers = [recommender.number(item) for item in history]
        scores = recommender.scorer.scores(recommender.queries([numbers])[0])[0]
        scores[torch.tensor(numbers) - 1] = -math.inf
        ranks.append(int((scores > scores[recommender.number(target) - 1]).sum()))
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["metrics"].keys() == {f"{kind}@{k}" for kind in ACCURACY for k in (5, 10, 20)}
    assert found["metrics"]["hr@5"] == pytest.approx(sum(rank < 5 for rank in ranks) / 3)
    assert found["metrics"]["mrr@20"] == pytest.approx(sum(1 / (rank + 1) for rank in ranks if rank < 20) / 3)


def test_a_model_in_python_evaluates_other_data_too(folder, tmp_path):
    rows = [f"x{user},{ITEMS[(user + step) % 12]},{step}" for user in range(9) for step in range(4)]
    path = tmp_path / "new.csv"
    write_lines(path, "user,item,time", *rows)
    found = load(folder).evaluate(Dataset.from_files(path, core=1))
    expected = results(folder, tmp_path / "found.json", "--data", path)
    assert found["test"].to_dict() == expected["metrics"] | expected["lists"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--set", "model.heads=2"], "only data.* and evaluate.* can be set here"),
        (["--data", "gone.csv"], "gone.csv"),
        (["--data", "other.csv"], "check that the items' ids are those of the model"),
        (["--set", "evaluate.diversity=colour"], "evaluate.diversity = 'colour': the items have no such column"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(args, words, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "other.csv", "user,item,time", *(f"u,{item},{item}" for item in range(5)))
    done = ask(folder, *args)
    assert done.code == 2 and words in done.err.splitlines()[-1] and done.err.count("error: ") == 1
