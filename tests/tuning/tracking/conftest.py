"""One database for the tests of a file, and one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tuning.mlflow_server import Server
from tuning.tracking import Tracker

SPOOL = "mlflow-waiting.jsonl"
Open = Callable[..., Tracker]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Making a database's tables takes 2 s."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/runs of 'mine'.db"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.fixture
def open_tracker(uri: str, experiment: str, tmp_path: Path) -> Iterator[Open]:
    """`Tracker.open` of a sweep in its folder below `tmp_path`, after the end of the process that had it."""
    opened: dict[str, Tracker] = {}

    def open(sweep: str, tags: dict | None = None, *, uri: str = uri, resume: bool = False) -> Tracker:
        if sweep in opened:
            opened.pop(sweep)._delivery.close()
        folder = tmp_path / f"sweep-{sweep.encode().hex()}"
        opened[sweep] = Tracker.open(uri, experiment, sweep, tags or {}, folder / SPOOL, resume=resume)
        return opened[sweep]

    yield open
    for tracker in opened.values():
        tracker._delivery.close()
