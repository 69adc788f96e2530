"""A registered model behind `mlflow models serve`: a process of its own, real HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fame.serving.exported import load_model
from fame.serving.recommender import Recommender, history_of_user
from fame.serving.request import Request
from tests.tuning.mlflow_server import Server
from tests.tuning.model_server import Ask, serving
from tuning.registry import Registered, register, register_best
from tuning.tracking.store import connect

pytestmark = pytest.mark.slow

MALFORMED = [
    (b"not json", "valid JSON formatted string"),
    (b"[1, 2]", "must be a JSON dictionary"),
    (b'{"history": [1]}', "exactly one of the input fields"),
    (b'{"dataframe_records": [{"history": [1], "tp": 5}]}', "tp: a request has no such field; did you mean 'top'"),
    (b'{"inputs": {"history": [1]}}', "the input must be a list of requests"),
    (b'{"inputs": [{"histry": [1]}]}', "histry: a request has no such field"),
    (b'{"inputs": [{"history": "1,2"}]}', "must be a list of item ids"),
    (b'{"inputs": [{"history": [1.5]}]}', "an item id is a whole number or a text"),
    (b'{"inputs": [{"history": [1], "top": 0}]}', "must be a whole number of at least 1"),
    (b'{"inputs": [{"history": [1]}], "params": {"top": 3}}', "params are not read"),
]
"""Ten bodies, and the reason in the answer to each."""


@pytest.fixture(scope="module", params=["sqlite", "server"])
def ask(request, best: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask the model that was registered in a database, or by a server."""
    folder = tmp_path_factory.mktemp(request.param)
    exported = shutil.copytree(best, folder / "best")
    server = Server(folder)
    if request.param == "server":
        server.start()
    uri = f"sqlite:///{folder}/mlflow.db" if request.param == "sqlite" else server.uri
    first = register_best(uri, "synthetic", "s", exported)
    assert isinstance(first, Registered) and (first.version, first.alias) == ("1", "champion"), first
    client, experiment_id = connect(uri, "synthetic")
    registered = register(client, experiment_id, exported, users=True)
    assert (registered.version, registered.alias) == ("2", "champion"), registered
    assert register(client, experiment_id, exported).version == "2", "the version with users stays"
    shutil.rmtree(exported)  # what is served is in MLflow
    try:
        with serving(registered.command(uri), folder) as ask:
            yield ask
    finally:
        server.stop()


def test_histories_of_raw_ids_are_answered_over_http_like_in_python(ask, best):
    recommender = Recommender(load_model(best))
    ids = recommender.exported.catalogue.ids[:3]
    queries = [{"history": [*ids, "unknown one"], "top": 4}, {"history": []}]
    status, found = ask(json.dumps({"inputs": queries}).encode())
    assert status == 200
    first, empty = found["predictions"]
    (same,) = recommender.recommend([Request(history=ids, top=4)])
    assert [item["id"] for item in first["items"]] == [item.id for item in same.items]
    assert [item["score"] for item in first["items"]] == pytest.approx([item.score for item in same.items], abs=1e-4)
    assert [facet["weight"] for facet in first["facets"]] == pytest.approx(same.facets, abs=1e-5)
    assert (first["unknown"], first["popular"], empty["popular"], len(empty["items"])) == (
        ["unknown one"],
        False,
        True,
        10,
    )


def test_ten_malformed_requests_are_answered_with_the_reason_and_the_server_goes_on(ask):
    for body, words in MALFORMED:
        status, answer = ask(body)
        assert status == 400, (body, answer)
        assert words in answer["message"], (body, answer)
    assert ask(b'{"inputs": [{"history": []}]}')[0] == 200


def test_data_frames_are_answered_like_lists_also_by_user(ask, best):
    recommender = Recommender(load_model(best), folder=best)
    user, known = history_of_user(recommender, recommender.users.ids[3])
    history = [recommender.exported.catalogue.ids[number - 1] for number in known]
    rows = [{"history": [float(id) for id in history], "top": 3.0}, {"user": float(user), "top": 3}]
    columns = ["history", "user", "top"]
    split = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
    bodies = {
        "inputs": [{"history": history, "top": 3}, {"user": user, "top": 3}],
        "dataframe_records": rows,
        "dataframe_split": split,
    }
    found = [ask(json.dumps({key: body}).encode()) for key, body in bodies.items()]
    assert [status for status, _ in found] == [200] * 3, found
    items = [[item["id"] for item in answer["items"]] for _, body in found for answer in body["predictions"]]
    (same,) = recommender.recommend([Request(history=history, top=3)])
    assert items == [[item.id for item in same.items]] * 6
