"""Places that tests of several folders need: object stores, and MLflow's database with sweeps whose ranks are known."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest

from tests.tuning.object_stores import BUCKET, S3, gcs_server, s3_server
from tuning.study.file import open_journal

if TYPE_CHECKING:
    from tests.tuning.comparison.published import Published


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without sweeps: to make one takes seconds, to copy it none."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def published(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    from tests.tuning.comparison.published import Published

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    shutil.copy(empty, tmp_path)
    return Published(tmp_path)


@pytest.fixture(scope="session")
def s3_host() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_host: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A URI of a test's own, in a working directory of its own."""
    for name, value in s3_host.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return f"s3://{BUCKET}/{abs(hash(request.node.name))}"


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with gcs_server() as query:
        yield f"gs://anonymous@{BUCKET}/runs{query}"


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """A study of three trials at `study.log`, as a sweep writes it."""
    storage, _ = open_journal(tmp_path / "study.log")
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=3)
    return study
