"""Champion and challenger: by validation on the same data alone, one version per model, in a real store."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.errors import UserError
from tests.commands import call
from tuning.registry import __main__
from tuning.registry.register import CHALLENGER, CHAMPION, Registered, register, register_best, verdict, version_tags
from tuning.tracking.store import connect, sqlite_uri

BASE = {"fingerprint": "f", "rules": "r", "metric": "ndcg@10", "validation.ndcg_at_10": "0.25"}


@pytest.mark.parametrize(
    ("champion", "alias", "words"),
    [
        (None, CHAMPION, "validation ndcg@10 0.2500, the first of its kind"),
        ({"validation.ndcg_at_10": "0.2"}, CHAMPION, "0.2500 beats 0.2000 of version 1"),
        ({"validation.ndcg_at_10": "0.25"}, CHALLENGER, "0.2500 does not beat 0.2500 of version 1, the champion"),
        ({"validation.ndcg_at_10": "0.3"}, CHALLENGER, "0.2500 does not beat 0.3000"),
        ({"fingerprint": "g", "validation.ndcg_at_10": "0.1"}, CHALLENGER, "on other data, so the two do not compare"),
        ({"rules": "s", "validation.ndcg_at_10": "0.1"}, CHALLENGER, "evaluated by other rules"),
        ({"validation.ndcg_at_10": None}, CHALLENGER, "champion is version 1, which has no ndcg@10"),
        ({"test.ndcg_at_10": "9"}, CHALLENGER, "does not beat"),
    ],
)
def test_the_champion_is_who_has_the_better_validation_on_the_same_data(champion, alias, words):
    if champion is not None:
        tags = {key: value for key, value in (BASE | champion).items() if value is not None}
        champion = SimpleNamespace(version="1", tags=tags)
    found, reason = verdict("2", BASE | {"test.ndcg_at_10": "0.01"}, champion)
    assert found == alias and words in reason


def test_tags_are_those_of_the_exported_folder(best):
    tags, metrics = version_tags(best), json.loads((best / "metrics.json").read_text())
    assert tags["fingerprint"] == metrics["dataset"]["fingerprint"]
    assert float(tags["validation.ndcg_at_10"]) == metrics["validation"]["ndcg@10"]
    assert float(tags["test.hr_at_5"]) == metrics["test"]["hr@5"]
    assert re.fullmatch("[0-9a-f]{64}", tags["weights"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an MLflow store."""
    return tmp_path_factory.mktemp("store")


def aliases(client) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("fame-synthetic").aliases.items()}


def test_a_model_is_registered_once_and_keeps_or_takes_the_title(store, best, other):
    uri = f"sqlite:///{store / 'mlflow.db'}"
    client, experiment_id = connect(uri, "synthetic", None)
    run = client.create_run(experiment_id, tags={"sweep": "s1", "kind": "sweep"})
    first = register_best(uri, "synthetic", "s1", best)
    assert isinstance(first, Registered), first
    assert (first.name, first.version, first.alias) == ("fame-synthetic", "1", CHAMPION)
    again = register(client, experiment_id, best)
    assert (again.version, again.alias, again.reason.partition(", ")[2]) == ("1", CHAMPION, "as before")
    version = client.get_model_version("fame-synthetic", "1")
    assert version.run_id == run.info.run_id and version.tags == version_tags(best)
    # As if the champion could not be beaten.
    client.set_model_version_tag("fame-synthetic", "1", "validation.ndcg_at_10", "1.0")
    second = register(client, experiment_id, other(2.0))
    assert (second.version, second.alias) == ("2", CHALLENGER)
    assert aliases(client) == {CHAMPION: "1", CHALLENGER: "2"}
    # As if it had been worse, the challenger takes its place and leaves its old one.
    client.set_model_version_tag("fame-synthetic", "1", "validation.ndcg_at_10", "0.0")
    third = register(client, experiment_id, other(2.0))
    assert (third.version, third.alias) == ("2", CHAMPION)
    assert aliases(client) == {CHAMPION: "2"}
    (logged,) = [m for m in client.search_logged_models([experiment_id]) if m.source_run_id == run.info.run_id]
    assert str(logged.status) == "READY"


def test_a_model_in_a_folder_of_any_name(best, tmp_path):
    folder = tmp_path / "a%20b#c?"
    shutil.copytree(best, folder / "best")
    registered = register_best(sqlite_uri(folder / "mlflow.db"), "synthetic", "s", folder / "best")
    assert isinstance(registered, Registered), registered
    (model,) = folder.glob("mlartifacts/models/*/artifacts/artifacts/best")
    assert {file.name for file in model.iterdir()} == {file.name for file in best.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b#c?"]


def test_what_stands_in_the_way_is_a_line_and_the_next_command(tmp_path, best):
    reason = register_best(f"sqlite:///{tmp_path / 'gone' / 'mlflow.db'}", "synthetic", "s", best)
    assert isinstance(reason, str) and reason.startswith("not registered (") and "\n" not in reason
    assert f"-m tuning.registry --model {best} --tracking-uri sqlite:///" in reason


def test_half_a_model_is_no_version(store, best, tmp_path):
    client, experiment_id = connect(f"sqlite:///{store / 'mlflow.db'}", "synthetic", None)
    broken = shutil.copytree(best, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"none of it")
    before = len(client.search_model_versions("name = 'fame-synthetic'"))
    with pytest.raises(UserError, match="is not a checkpoint"):
        register(client, experiment_id, broken)
    assert len(client.search_model_versions("name = 'fame-synthetic'")) == before
    with pytest.raises(UserError, match="holds no exported model"):
        version_tags(tmp_path)


def test_the_command_registers_a_folder(store, best):
    done = call(__main__.main, "--model", best, "--tracking-uri", f"sqlite:///{store / 'mlflow.db'}")
    assert done.code == 0, done.err
    assert done.out.startswith("fame-synthetic version 1 is ")
    assert "mlflow models serve -m models:/fame-synthetic@" in done.out
    done = call(__main__.main, "--model", store)
    assert (done.code, done.err.count("\n")) == (2, 1)
