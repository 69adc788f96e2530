"""The exported folder: complete, atomic, and the same model when it is read back."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import stat
import statistics
import sys
from pathlib import Path

import pytest

import fame.serving.export
from fame.config.metrics import ACCURACY
from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from fame.errors import UserError
from fame.evaluation.ranks import RANKS, Ranks
from fame.runtime import files
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.serving.exported import load_model
from fame.training.fit import Trained, fit, read_trained
from fame.training.resolve import resolve
from tests.commands import TINY
from tests.fame.helpers import CPU

STEPS = ("write_yaml", "save_checkpoint", "model_card")
"""Functions that are called while the folder is written."""


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_returns_what_metrics_json_holds(made, tmp_path):
    trained, dataset = made
    metrics = export_model(tmp_path / "deep" / "best", trained, dataset, {"sweep": "mine"})
    assert json.loads((tmp_path / "deep" / "best" / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics["sweep"] == "mine"
    epoch = trained.history[trained.history[-1].best_epoch - 1].validation
    assert {name: metrics["validation"][name] for name in epoch} == epoch
    assert metrics["test"].keys() == {f"{kind}@{k}" for kind in ACCURACY for k in (5, 10, 20)}
    assert metrics["lists"].keys() == {"validation", "test"}
    kinds = {"coverage", "novelty", "popularity", "gini"}  # the items have no labels to compare
    assert metrics["lists"]["test"].keys() == {f"{kind}@{k}" for kind in kinds for k in (5, 10, 20)}
    assert metrics["test"].keys() == metrics["validation"].keys()
    assert metrics["test"] != metrics["validation"]
    for part, groups in metrics["by_frequency"].items():
        assert sum(group["users"] for group in groups.values()) == len(dataset.sequences)
        for name, value in metrics[part].items():
            together = sum(group["users"] * group[name] for group in groups.values()) / len(dataset.sequences)
            assert together == pytest.approx(value)
    assert metrics["dataset"]["fingerprint"] == dataset.fingerprint == trained.experiment.data.fingerprint
    assert (metrics["epochs"], len(metrics["history"])) == (4, 4)
    assert metrics["provenance"]["command"]


def test_the_metrics_are_the_means_over_the_users_of_the_ranks_in_the_folder(made, folder):
    dataset, metrics = made[1], json.loads((folder / "metrics.json").read_text())
    ranks = Ranks.read(folder / RANKS)
    assert (ranks.fingerprint, list(ranks.by_seed)) == (dataset.fingerprint, [0])
    assert ranks.rules == {"split": "leave-one-out", "candidates": "all items", "exclude_seen": True}
    for part in ("validation", "test"):
        for name, value in metrics[part].items():
            values_U = ranks.metric(name, part)
            assert len(values_U) == len(dataset.sequences)
            assert float(values_U.mean()) == pytest.approx(value)


@pytest.fixture(scope="module")
def repeats(made, tmp_path_factory: pytest.TempPathFactory) -> list[Trained]:
    """The training of `made` with two other seeds."""
    trainings = []
    for seed in (2, 1):
        folder = tmp_path_factory.mktemp("seed")
        experiment = dataclasses.replace(made[0].experiment, seed=seed)
        for _ in fit(experiment, made[1].sequences, folder, Workers(device=CPU)):
            pass
        trainings.append(read_trained(folder))
    return trainings


def test_trainings_with_other_seeds_join_metrics_card_and_ranks(made, repeats, tmp_path):
    trained, dataset = made
    metrics = export_model(tmp_path / "best", trained, dataset, repeats=repeats)
    assert metrics["seeds"]["seeds"] == [0, 1, 2] and metrics["seed"] == 0
    alone = [export_model(tmp_path / "alone", one, dataset) for one in (trained, repeats[1], repeats[0])]
    ranks = Ranks.read(tmp_path / "best" / RANKS)
    assert list(ranks.by_seed) == [0, 1, 2]
    for part in ("validation", "test"):
        assert metrics[part] == alone[0][part]
        for name, found in metrics["seeds"][part].items():
            values = [one[part][name] for one in alone]
            assert found == {"mean": statistics.fmean(values), "sd": statistics.stdev(values), "values": values}
            assert float(ranks.metric(name, part).mean()) == pytest.approx(found["mean"])
    found = metrics["seeds"]["test"]["ndcg@10"]
    assert f"{found['mean']:.4f} ± {found['sd']:.4f}" in (tmp_path / "best" / "README.md").read_text()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_in_the_middle_leaves_the_old_folder_or_nothing(step, error, made, folder, monkeypatch):
    before = content(folder)

    def dies(*_):
        raise error

    monkeypatch.setattr(fame.serving.export, step, dies)
    trained = dataclasses.replace(made[0], experiment=dataclasses.replace(made[0].experiment, seed=9))
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    for target in (folder, folder.with_name("new")):
        with pytest.raises(expected) as caught:
            export_model(target, trained, made[1])
        assert expected is KeyboardInterrupt or str(caught.value).startswith(
            f"cannot write {target}: No space left on device;"
        )
    assert content(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_to_put_the_new_folder_in_place_brings_the_old_one_back(made, folder, monkeypatch):
    before, real = content(folder), os.replace

    def fails_for_the_new(source, target):
        if target == folder and not str(source).endswith(".old"):
            raise PermissionError(1, "Operation not permitted")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", fails_for_the_new)
    with pytest.raises(UserError, match="Operation not permitted"):
        export_model(folder, *made)
    assert content(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_new_export_replaces_the_old_and_sweeps_up_after_a_killed_one(made, folder):
    (folder / "from-before").write_text("x")
    stale = folder.parent / ".best.export-abc"
    stale.mkdir()
    (stale / "config.yaml").write_text("half")
    (folder.parent / ".best.mine").mkdir()
    export_model(folder, *made)
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.yaml", "items.json", "metrics.json", "model.safetensors", "ranks.safetensors",
        "users.safetensors",
    }  # fmt: skip
    assert {path.name for path in folder.parent.iterdir()} == {"best", ".best.mine"}


def test_a_file_in_the_way_is_left_alone(made, tmp_path):
    (tmp_path / "best").write_text("mine")
    with pytest.raises(UserError, match=rf"cannot write {re.escape(str(tmp_path / 'best'))}: Not a directory"):
        export_model(tmp_path / "best", *made)
    assert (tmp_path / "best").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("mask", "file", "directory"), [(0o022, 0o644, 0o755), (0o027, 0o640, 0o750)])
def test_files_have_the_permissions_of_the_umask(made, tmp_path, mask, file, directory):
    before = os.umask(mask)
    try:
        export_model(tmp_path / "best", *made)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "best").stat().st_mode) == directory
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "best").iterdir()} == {file}


def test_no_file_holds_an_absolute_path_and_the_configuration_still_finds_the_data(tmp_path, monkeypatch):
    rows = [f"u{user},i{(user + place) % 9},{place}" for user in range(12) for place in range(5)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clicks.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "fame.train", f"--data={tmp_path / 'in' / 'clicks.csv'}"])
    plain = experiment_from_dict(
        {**TINY, "data": {"name": "own", "path": str(tmp_path / "in" / "clicks.csv"), "core": 1}}
    )
    dataset = load_dataset(plain.data)
    for _ in fit(resolve(plain, dataset, CPU, 1), dataset.sequences, tmp_path / "t", Workers(device=CPU)):
        pass
    export_model(tmp_path / "models" / "best", read_trained(tmp_path / "t"), dataset)
    for path in (tmp_path / "models" / "best").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
    assert "path: ../../in/clicks.csv" in (tmp_path / "models" / "best" / "config.yaml").read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = load_dataset(load_model(tmp_path / "models" / "best").experiment.data)
    assert again.fingerprint == dataset.fingerprint
