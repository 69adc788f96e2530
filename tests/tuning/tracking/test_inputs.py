"""The dataset of a sweep as an input of its runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from tests.commands import TINY
from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen
from tuning.tracking.inputs import dataset_input


def test_all_runs_have_the_dataset_once_and_a_trial_has_all_settings(
    open_sweep: Open, uri: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "data"))
    dataset = load_dataset(experiment_from_dict(TINY).data)
    tags = {"mlflow.user": "me", "mlflow.source.name": "sweep.py", "mlflow.source.git.commit": "c1"}
    for resume in (False, True):
        sweep = open_sweep(
            "s",
            tags,
            resume=resume,
            dataset=dataset_input(dataset),
            settings=lambda point: {"model.name": "fame", **point, "model.dim": 8},
        )
        sweep.begin("a", {"model.heads": 2})
        assert sweep.projection.update()
    seen = Seen(uri, experiment, "s")
    for run in (seen.parent, seen.child("a")):
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("synthetic", dataset.fingerprint)
        assert json.loads(found.dataset.profile)["num_rows"] == dataset.statistics["actions"]
        columns = json.loads(found.dataset.schema)["mlflow_colspec"]
        assert [(one["name"], one["type"]) for one in columns][:2] == [("user", "long"), ("item", "long")]
        assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}
        assert tags.items() <= run.data.tags.items()
    assert seen.child("a").data.params == {"model.name": "fame", "model.heads": "2", "model.dim": "8"}
