"""An exported model as MLflow model: files, not pickles, that any machine with torch can serve.

served_model.py      what it does ("models from code")
code/fame/           the package that it needs, as it is now
artifacts/best/      the exported folder: safetensors, JSON, YAML; the histories of its users only if asked for
MLmodel, …           signature of the answers, input example, requirements
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fame
from fame.index.inverted import INDEX
from fame.serving.exported import load_model
from fame.serving.histories import USERS

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CODE = Path(__file__).with_name("served_model.py")
NEEDED, FOR_INDEX = ("mlflow", "torch", "numpy", "safetensors", "pyyaml"), ("faiss-cpu",)
"""Packages that loading and serving import, and those that an index needs."""
EXAMPLE_ITEMS = 3
BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
REMARKS = ("mlflow.pyfunc", "mlflow.store.model_registry.abstract_store")
"""Loggers that say that MLflow tries the example, and how long it may wait for a server."""


def package(folder: Path, target: Path, model_id: str | None = None, users: bool = False) -> None:
    """Write the model of an exported folder, with the histories of its users or without, to a new folder.

    Raises `UserError` for one that is damaged.
    """
    catalogue = load_model(folder).catalogue  # MLflow would only warn that its example fails
    needed = NEEDED + (FOR_INDEX if (folder / INDEX).exists() else ())
    with quiet(), tempfile.TemporaryDirectory(prefix="fame-model-") as work:
        import mlflow.pyfunc
        from mlflow.models import Model

        best = shutil.copytree(folder, Path(work) / "best", ignore=None if users else shutil.ignore_patterns(USERS))
        mlflow.pyfunc.save_model(
            str(target),
            mlflow_model=Model(model_id=model_id, artifact_path=target.name),
            python_model=str(CODE),
            artifacts={"best": best.as_uri()},
            code_paths=[str(Path(fame.__file__).parent)],
            signature=answers(),
            input_example=[{"history": catalogue.ids[:EXAMPLE_ITEMS], "top": 2}],
            pip_requirements=[f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in needed],
        )


def answers() -> ModelSignature:
    """Return the signature of the answers of `served_model.py`."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Object, Property, Schema

    item = [Property("id", AnyType()), Property("title", DataType.string), Property("score", DataType.double, False)]
    facet = [Property("name", DataType.string), Property("weight", DataType.double)]
    columns: dict[str, Array | DataType] = {
        "items": Array(Object(item)),
        "facets": Array(Object(facet)),
        "unknown": Array(AnyType()),
        "popular": DataType.boolean,
    }
    return ModelSignature(outputs=Schema([ColSpec(type, name) for name, type in columns.items()]))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without MLflow's remarks and progress bars."""
    before = {name: logging.getLogger(name).level for name in REMARKS}
    os.environ.setdefault(BARS, "false")
    for name in REMARKS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # MLflow's own classes raise it when they are imported
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred", category=UserWarning)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
