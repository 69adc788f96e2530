"""An exported model as MLflow model: files, not pickles, that any machine with torch can serve.

served_model.py      what it does ("models from code")
code/fame/           the package that it needs, as it is now
artifacts/best/      the exported folder: safetensors, JSON, YAML; without the histories of its users
MLmodel, …           signature, input example, requirements
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

import fame
from fame.index.inverted import INDEX
from fame.serving.exported import load_model
from fame.serving.histories import USERS

CODE = Path(__file__).with_name("served_model.py")
NEEDED, FOR_INDEX = ("mlflow", "torch", "numpy", "safetensors", "pyyaml"), ("faiss-cpu",)
"""Packages that loading and serving import, and those that an index needs."""
EXAMPLE_ITEMS = 3
BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
REMARKS = ("mlflow.types.type_hints", "mlflow.models.signature", "mlflow.store.model_registry.abstract_store")
"""Loggers that say how MLflow reads the types of a query (the signature has it), and how long it may wait for a server."""


def package(folder: Path, target: Path, model_id: str | None = None) -> None:
    """Write the model of an exported folder to a new folder. Raises `UserError` for one that is damaged."""
    catalogue = load_model(folder).catalogue  # MLflow would only warn that its example fails
    needed = NEEDED + (FOR_INDEX if (folder / INDEX).exists() else ())
    with quiet(), tempfile.TemporaryDirectory(prefix="fame-model-") as work:
        import mlflow.pyfunc
        from mlflow.models import Model

        best = shutil.copytree(folder, Path(work) / "best", ignore=shutil.ignore_patterns(USERS))
        mlflow.pyfunc.save_model(
            str(target),
            mlflow_model=Model(model_id=model_id, artifact_path=target.name),
            python_model=str(CODE),
            artifacts={"best": best.as_uri()},
            code_paths=[str(Path(fame.__file__).parent)],
            input_example=[{"history": catalogue.ids[:EXAMPLE_ITEMS], "top": 2}],
            pip_requirements=[f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in needed],
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without MLflow's remarks and progress bars."""
    before = {name: logging.getLogger(name).level for name in REMARKS}
    os.environ.setdefault(BARS, "false")
    for name in REMARKS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred", category=UserWarning)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
