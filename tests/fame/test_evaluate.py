"""Evaluating an exported model: its own metrics again, and other data with items and users that it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fame import Dataset, evaluate, load, recommend, train
from fame.evaluation.ranks import RANKS, Ranks
from fame.serving.exported import load_model
from tests.commands import Done, call, write_lines
from tests.fame.clicks import ITEMS

pytestmark = pytest.mark.usefixtures("clicks_cache")


def ask(clicks_model: Path, *args: object) -> Done:
    return call(evaluate.main, "--model", clicks_model, *args)


def results(clicks_model: Path, output: Path, *args: object) -> dict:
    done = ask(clicks_model, *args, "--output", output)
    assert done.code == 0, done.err
    return json.loads(output.read_text(encoding="utf-8"))


def test_on_its_own_data_a_model_has_the_metrics_of_its_export_to_the_last_digit(clicks_model, tmp_path):
    exported = json.loads((clicks_model / "metrics.json").read_text(encoding="utf-8"))
    found = results(clicks_model, tmp_path / "found.json")
    assert found["metrics"] == exported["test"]
    assert found["lists"] == exported["lists"]["test"]
    assert found["dataset"]["fingerprint"] == exported["dataset"]["fingerprint"]
    assert (found["users"], found["unknown_targets"], found["without_history"]) == (21, 0, 0)


def test_a_model_in_python_evaluates_other_data_too(clicks_model, tmp_path):
    rows = [f"x{user},{ITEMS[(user + step) % 12]},{step}" for user in range(9) for step in range(4)]
    path = tmp_path / "new.csv"
    write_lines(path, "user,item,time", *rows)
    found = load(clicks_model).evaluate(Dataset.from_files(path, core=1, split={"by": "last", "validation": 0}))
    expected = results(clicks_model, tmp_path / "found.json", "--data", path)
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
def test_what_cannot_be_evaluated_is_one_line(args, words, clicks_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "other.csv", "user,item,time", *(f"u,{item},{item}" for item in range(5)))
    done = ask(clicks_model, *args)
    assert done.code == 2 and words in done.err.splitlines()[-1] and done.err.count("error: ") == 1


SPLITS = {
    "time": ["--split", "time,validation=0.2,test=0.2"],
    "last": ["--split", "last,validation=2,test=3"],
    "files": ["--train", "train.csv", "--validation", "validation.csv", "--test", "test.csv"],
}


@pytest.mark.parametrize("by", SPLITS)
def test_a_model_of_another_split_is_exported_evaluated_and_served_by_it(by, tmp_path, monkeypatch):
    """Ranks, rules, card, fingerprint and histories are those of the split."""
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{u},{ITEMS[(u + step) % 12]},{1_700_000_000 + 90 * u + 60 * step}" for u in range(30) for step in range(9)
    ]
    for name, part in {"all": rows, "train": rows[:200], "validation": rows[200:240], "test": rows[235:]}.items():
        write_lines(tmp_path / f"{name}.csv", "user,item,time", *part)
    data = ["--dataset", "clicks", *SPLITS[by], *([] if by == "files" else ["--data", "all.csv"])]
    small = [f"--set=model.{key}={value}" for key, value in {"dim": 8, "heads": 2, "experts": 2, "blocks": 1}.items()]
    args = [
        *data,
        *small,
        "--set",
        "train.epochs=1",
        "--set",
        "data.max_length=6",
        "--set",
        "evaluate.candidates=known",
    ]
    done = call(train.main, *args, "--output", "out")
    assert done.code == 0, done.err
    assert "do not occur before" in done.err
    best = tmp_path / "out" / "best"
    metrics = json.loads((best / "metrics.json").read_text(encoding="utf-8"))
    ranks = Ranks.read(best / RANKS)
    split = load_model(best).experiment.data.split
    assert split.by == by and ranks.rules == {"split": str(split), "candidates": "known items", "exclude_seen": True}
    for name, value in metrics["test"].items():
        assert float(ranks.metric(name, "test").mean()) == pytest.approx(value)
    assert f"Split by {split}, ranked among known" in (best / "README.md").read_text(encoding="utf-8")
    found = results(best, tmp_path / "found.json")
    assert (found["metrics"], found["lists"]) == (metrics["test"], metrics["lists"]["test"])
    assert found["dataset"]["fingerprint"] == metrics["dataset"]["fingerprint"]
    served = call(recommend.main, "--model", best, "--user", "3")
    assert served.code == 0 and served.out.startswith("9 items in the history")


def test_a_training_without_a_validation_part_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, steps in {"train": range(3), "test": range(3, 5)}.items():
        write_lines(tmp_path / f"{name}.csv", "user,item,time", *(f"{u},{s},{s}" for u in range(9) for s in steps))
    done = call(train.main, "--train", "train.csv", "--test", "test.csv", "--output", "out")
    assert done.code == 2 and "no user has a validation item and a history before it" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--train", "a.csv"], "--train: files that are split already need --train and --test"),
        (["--train", "a.csv", "--test", "b.csv", "--data", "c.csv"], "--train and --data"),
        (["--train", "a.csv", "--test", "b.csv", "--split", "time"], "--train and --split"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(args, words):
    done = call(train.main, *args)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
