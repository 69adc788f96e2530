"""An exported folder as an MLflow model."""

from __future__ import annotations

import shutil

import pytest

from fame.index.inverted import Index, write_index
from fame.serving.exported import load_model
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tuning.registry.package import package


def ids_of(answer: dict) -> list:
    return [item["id"] for item in answer["items"]]


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
    (found,) = model.predict([{"history": ids, "top": 4}])
    (same,) = Recommender(load_model(best)).recommend([Request(history=ids, top=4)])
    assert [item["id"] for item in found["items"]] == [item.id for item in same.items]
