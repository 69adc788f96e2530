"""Champion and challenger: by validation on the same data alone, one version per model, in a real store."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import mlflow
import pytest

from fame.errors import UserError
from tests.commands import call
from tuning.registry import __main__
from tuning.registry.champion import CHALLENGER, CHAMPION, Registered
from tuning.registry.exported import Exported
from tuning.registry.register import process_store, register, register_best
from tuning.tracking.addresses import sqlite_uri
from tuning.tracking.store import connect

NDCG = "validation/ndcg_10"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an MLflow store."""
    return tmp_path_factory.mktemp("store")


def aliases(client) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("synthetic").aliases.items()}


def test_a_model_is_registered_once_and_keeps_or_takes_the_title(store, best, other):
    uri = f"sqlite:///{store / 'mlflow.db'}"
    client, experiment_id = connect(uri, "synthetic")
    run = client.create_run(experiment_id, tags={"sweep": "s1", "kind": "sweep"})
    first = register_best(uri, "synthetic", "s1", best)
    assert isinstance(first, Registered), first
    assert (first.name, first.version, first.alias) == ("synthetic", "1", CHAMPION)
    again = register(client, experiment_id, best)
    assert (again.version, again.alias, again.reason.partition(", ")[2]) == ("1", CHAMPION, "as before")
    version = client.get_model_version("synthetic", "1")
    assert version.run_id == run.info.run_id and version.tags == Exported.read(best).tags
    assert run.info.run_id in [model.source_run_id for model in client.search_logged_models([experiment_id])]
    made_better(client, "1", 1.0)
    second = register(client, experiment_id, other(2.0))
    assert (second.version, second.alias) == ("2", CHALLENGER)
    made_better(client, "2", 0.9)
    third = register(client, experiment_id, other(3.0))
    assert (third.version, third.alias) == ("3", None) and third.command(uri).endswith("/3 --env-manager local")
    assert aliases(client) == {CHAMPION: "1", CHALLENGER: "2"}
    # The challenger takes the champion's place and leaves its own.
    made_better(client, "2", 2.0)
    fourth = register(client, experiment_id, other(2.0))
    assert (fourth.version, fourth.alias) == ("2", CHAMPION)
    assert aliases(client) == {CHAMPION: "2"}
    (logged,) = [m for m in client.search_logged_models([experiment_id]) if m.source_run_id == run.info.run_id]
    assert str(logged.status) == "READY" and logged.params == Exported.read(best).params
    (version,) = json.loads(logged.tags["mlflow.modelVersions"])  # else MLflow's page says "Not registered"
    assert version["name"] == Exported.read(best).name
    metrics = {metric.key: metric for metric in logged.metrics}
    found = {key: metric.value for key, metric in metrics.items()}
    assert found | {NDCG: 0} == Exported.read(best).metrics | {NDCG: 0}
    assert metrics["test/ndcg_10"].dataset_digest == Exported.read(best).tags["fingerprint"]
    assert client.get_run(run.info.run_id).outputs.model_outputs[0].model_id == logged.model_id


def made_better(client, number: str, value: float) -> None:
    """Log a later value of a version's validation metric."""
    version = client.get_model_version("synthetic", number)
    model_id = version.source.rpartition("/")[2]
    client.log_metric(version.run_id, NDCG, value, timestamp=2**42, step=int(value * 10), model_id=model_id)


def test_a_model_of_no_sweep_gets_a_run_with_its_metrics(store, best, other):
    client, experiment_id = connect(f"sqlite:///{store / 'mlflow.db'}", "alone")
    folder = other(5.0)
    registered = register(client, experiment_id, folder)
    run = client.get_run(client.get_model_version("synthetic", registered.version).run_id)
    assert run.info.status == "FINISHED" and run.data.tags["kind"] == "model"
    assert run.data.metrics == Exported.read(folder).metrics and run.data.params["model.name"] == "fame"


def test_a_model_in_a_folder_of_any_name(best, tmp_path):
    folder = tmp_path / "a%20b#c?"
    shutil.copytree(best, folder / "best")
    registered = register_best(sqlite_uri(folder / "mlflow.db"), "synthetic", "s", folder / "best")
    assert isinstance(registered, Registered), registered
    (model,) = folder.glob("mlartifacts/models/*/artifacts/artifacts/best")
    assert {file.name for file in model.iterdir()} == {file.name for file in best.iterdir()} - {"users.safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b#c?"]


def test_what_stands_in_the_way_is_a_line_and_the_next_command(tmp_path, best):
    reason = register_best(f"sqlite:///{tmp_path / 'gone' / 'mlflow.db'}", "synthetic", "s", best)
    assert isinstance(reason, str) and reason.startswith("not registered (") and "\n" not in reason
    assert f"-m tuning.registry --model {best} --tracking-uri sqlite:///" in reason


def test_half_a_model_is_no_version(store, best, tmp_path):
    client, experiment_id = connect(f"sqlite:///{store / 'mlflow.db'}", "synthetic")
    broken = shutil.copytree(best, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"none of it")
    before = len(client.search_model_versions("name = 'synthetic'"))
    with pytest.raises(UserError, match="is not a checkpoint"):
        register(client, experiment_id, broken)
    assert len(client.search_model_versions("name = 'synthetic'")) == before
    with pytest.raises(UserError, match="holds no exported model"):
        Exported.read(tmp_path)


def test_the_command_registers_a_folder(store, best):
    done = call(__main__.main, "--model", best, "--tracking-uri", f"sqlite:///{store / 'mlflow.db'}")
    assert done.code == 0, done.err
    assert done.out.startswith("synthetic version 1 is ")
    assert "mlflow models serve -m models:/synthetic@" in done.out
    done = call(__main__.main, "--model", store)
    assert (done.code, done.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("chosen", [None, "sqlite:///mine.db"])
def test_the_process_keeps_the_store_that_its_user_chose_or_none(chosen, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(chosen)
    try:
        with process_store("sqlite:///other.db"):
            assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///other.db"
        assert os.environ.get("MLFLOW_TRACKING_URI") == chosen
        assert mlflow.is_tracking_uri_set() == (chosen is not None)
    finally:
        mlflow.set_tracking_uri(None)
