"""Quality results: what trained models have, how they compare, and what the tables say of it."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import page
from benchmarks.quality import __main__ as quality
from benchmarks.quality.earlier import read_ranks, write_ranks
from benchmarks.quality.models import TrainedModel
from benchmarks.quality.published import NDCG10, published
from benchmarks.quality.tables import model_lines
from fame import train
from fame.config_tree import read_experiment
from fame.errors import UserError
from fame.ranks import Ranks
from tests.commands import call, write_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trainings: `one-expert` with two seeds, and `sweep`, which looks like a sweep's."""
    folder = tmp_path_factory.mktemp("quality")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(folder / "cache"))
        patch.chdir(folder)
        write_config(folder / "tiny.yaml")
        for words in (
            ("--set", "model.experts=1", "--seeds", "2", "--output", "one-expert"),
            ("--output", "sweep"),
        ):
            done = call(train.main, "--config", "tiny.yaml", *words)
            assert done.code == 0, done.err
    options = {"trials": 8, "epochs": 2, "sampler": "tpe", "scheduler": "asha", "set": [], "model": "fame"}
    (folder / "sweep" / "sweep.yaml").write_text(json.dumps({"options": options}))
    return folder


@pytest.fixture
def made(trained, tmp_path, monkeypatch) -> dict:
    """The result of the command over both."""
    monkeypatch.chdir(trained)
    monkeypatch.setenv("FAME_DATA", str(trained / "cache"))
    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    monkeypatch.setattr(quality, "CONFIGS", tmp_path / "configs")
    done = call(quality.main, "some", "One expert=one-expert", "FAME=sweep", "--kept", "--configs")
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "some.json").read_text())
    assert done.out.splitlines() == model_lines(result)
    return result


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "best" / "metrics.json").read_text())


def test_a_models_metrics_are_the_mean_over_the_folders_of_its_seeds(made, trained):
    entry, values = made["models"][0], [metrics_of(trained / f"one-expert/seed-{seed}")["test"] for seed in (0, 1)]
    assert entry["seeds"] == [0, 1]
    for name in ("hr@5", "ndcg@10"):
        assert entry["test"][name]["mean"] == pytest.approx(np.mean([one[name] for one in values]))
        assert entry["test"][name]["sd"] == pytest.approx(np.std([one[name] for one in values], ddof=1))
    assert made["models"][1]["budget"]["trials"] == 8 and not entry["budget"]


def test_models_are_compared_on_the_mean_over_seeds_of_every_user(made, trained):
    def ndcg(folder: str) -> np.ndarray:
        ranks = Ranks.read(trained / folder / "best" / "ranks.safetensors")
        (found,) = [parts["test"].double().numpy() for parts in ranks.by_seed.values()]
        return np.where(found < 10, 1 / np.log2(found + 2), 0)

    expected = (ndcg("sweep") - (ndcg("one-expert/seed-0") + ndcg("one-expert/seed-1")) / 2).mean()
    assert "against_reference" not in made["models"][0]
    found = made["models"][1]["against_reference"]
    assert found["difference"] == pytest.approx(expected, abs=1e-9)
    assert found["low"] <= found["difference"] <= found["high"] and 0 < found["p"] <= 1


def test_ranking_the_history_as_well_can_only_push_the_target_down(made):
    for entry in made["models"]:
        for part in ("validation", "test"):
            assert entry["history_kept"][part]["hr@20"]["mean"] <= entry[part]["hr@20"]["mean"]


def test_the_kept_configuration_repeats_the_training_and_names_no_place_of_this_machine(made, tmp_path, trained):
    kept = read_experiment(tmp_path / "configs" / "synthetic-fame.yaml")
    there = read_experiment(trained / "sweep" / "best" / "config.yaml")
    assert dataclasses.replace(kept, data=there.data) == there
    assert kept.data.dir is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x", "one-expert"), "one-expert: must be LABEL=FOLDER"),
        (("y", "one-expert"), "one-expert: must be LABEL=FOLDER, or a row of"),
        (("x", "A=nowhere"), "nowhere has no exported model"),
        (("x", "A=one-expert", "--reference", "B"), "--reference B: must be one of A"),
        (("x", "A=one-expert", "B=one-expert", "A=sweep"), "A stands for two models"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(words, message, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    (tmp_path / "y.json").write_text('{"models": [{"label": "SASRec"}]}')
    done = call(quality.main, *words)
    assert done.code == 2 and message in done.err and "Traceback" not in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["y.json"]


def test_a_label_alone_keeps_the_row_that_the_result_has(made, tmp_path):
    done = call(quality.main, "some", "FAME=sweep", "One expert", "Again=one-expert", "--reference", "FAME")
    assert done.code == 0, done.err
    fame, kept, again = json.loads((tmp_path / "some.json").read_text())["models"]
    assert (fame["label"], kept["label"]) == ("FAME", "One expert")
    for key in ("seeds", "test", "validation", "configuration", "trained", "published"):
        assert kept.get(key) == again.get(key) == made["models"][0].get(key)
    assert kept["history_kept"] == made["models"][0]["history_kept"] and "history_kept" not in again
    assert kept["against_reference"] == again["against_reference"]


def test_a_row_from_before_ranks_were_kept_stands_without_a_comparison(made, tmp_path):
    (tmp_path / "some.npz").unlink()
    done = call(quality.main, "some", "FAME=sweep", "One expert")
    assert done.code == 0, done.err
    fame, kept = json.loads((tmp_path / "some.json").read_text())["models"]
    assert kept["test"] == made["models"][0]["test"]
    assert "against_reference" not in fame and "against_reference" not in kept
    assert list(read_ranks(tmp_path / "some.npz")) == ["FAME"]


def test_a_comparison_of_two_rows_from_before_ranks_were_kept_stands(made, tmp_path):
    (tmp_path / "some.npz").unlink()
    done = call(quality.main, "some", "One expert", "FAME", "Again=sweep")
    assert done.code == 0, done.err
    reference, kept, new = json.loads((tmp_path / "some.json").read_text())["models"]
    assert kept["against_reference"] == made["models"][1]["against_reference"]
    assert "against_reference" not in reference and "against_reference" not in new


@pytest.mark.parametrize(("folder", "stands"), [("one-expert", True), ("sweep", False)])
def test_it_stands_with_a_reference_that_was_trained_again_to_the_same_numbers(made, tmp_path, folder, stands):
    (tmp_path / "some.npz").unlink()
    done = call(quality.main, "some", f"One expert={folder}", "FAME")
    assert done.code == 0, done.err
    kept = json.loads((tmp_path / "some.json").read_text())["models"][1]
    assert kept.get("against_reference") == (made["models"][1]["against_reference"] if stands else None)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.integers(0, 3))
def test_kept_ranks_have_the_metrics_of_the_ranks_that_they_were(halves, seed):
    ranks = {part: torch.tensor(halves, dtype=torch.float32) / 2 for part in ("validation", "test")}
    written = Ranks(fingerprint="abc", rules={"exclude_seen": True}, by_seed={seed: ranks})
    with tempfile.TemporaryDirectory() as folder:
        write_ranks(Path(folder) / "r.npz", {"A, B": written, "none": None})
        (label, read), *rest = read_ranks(Path(folder) / "r.npz").items()
    assert label == "A, B" and not rest and (read.fingerprint, read.rules) == ("abc", {"exclude_seen": True})
    for name in ("hr@1", "hr@20", "ndcg@10", "ndcg@20"):
        assert torch.equal(read.metric(name, "test"), written.metric(name, "test"))


def test_seeds_that_were_evaluated_by_different_rules_are_refused(trained, tmp_path):
    model = TrainedModel.parse(f"A={trained / 'one-expert'}")
    first, second = (Ranks.read(folder / "ranks.safetensors") for folder in model.folders)
    dataclasses.replace(second, rules={**second.rules, "exclude_seen": False}).write(tmp_path / "ranks.safetensors")
    mixed = dataclasses.replace(model, folders=(model.folders[0], tmp_path))
    assert first.rules != Ranks.read(tmp_path / "ranks.safetensors").rules
    with pytest.raises(UserError, match="different data or rules"):
        _ = mixed.ranks


def test_tables_show_values_with_their_spread_and_the_ratio_to_what_is_published(made):
    made["models"][0]["published"] = {"value": made["models"][0]["test"]["ndcg@10"]["mean"] / 2, "source": "a paper"}
    lines = page.markdown(made).splitlines()
    assert lines[0].startswith("| model | seeds | validation | test | published |")
    assert "± " in lines[2] and "(a paper) | 2.00 |" in lines[2]
    assert "±" not in lines[3] and "benchmarks.quality" not in lines[3]
    assert lines[-1].startswith("`python") and "commit" in lines[-1]


def test_a_model_that_nobody_else_has_stands_beside_the_best_published():
    assert published("beauty", "fame") == (0.0593, "FAME, Table 2")
    best = {name: published(name, "fame_bsarec") for name in NDCG10}
    assert best == {
        "beauty": (0.0610, "the best, RecBoard"),
        "sports": (0.0348, "the best, RecBoard"),
        "toys": (0.0681, "the best, FAME, Table 2"),
    }
    assert published("ml-1m", "fame") is None
