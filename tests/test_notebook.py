"""The notebook of examples/ runs from its first cell to its last, in a kernel with an event loop."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
from nbclient import NotebookClient  # noqa: E402

ROOT = Path(__file__).parent.parent


def outputs(cell: dict, kind: str) -> str:
    """Return the output of a cell, as text or HTML."""
    return "".join(output["data"][kind] for output in cell["outputs"] if kind in output.get("data", {}))


@pytest.mark.slow
def test_the_quick_start_runs(tmp_path, monkeypatch):
    ray = Path(tempfile.mkdtemp(prefix="fr-", dir="/tmp"))  # Ray's sockets need short paths
    for name, value in {"FAME_DATA": tmp_path / "cache", "RAY_TMPDIR": ray, "PYTHONPATH": ROOT}.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    try:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        shutil.rmtree(ray, ignore_errors=True)
    code = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    by_source = {cell["source"].splitlines()[-1]: cell for cell in code}
    assert outputs(by_source["data"], "text/plain").startswith("Dataset(shop: 300 users, 100 items")
    evaluated = by_source["model.evaluate()"]
    assert "ndcg@10" in outputs(evaluated, "text/html")
    assert "fame: 100%" in "".join(output.get("text", "") for output in evaluated["outputs"]), "the bar"
    assert "Coffee" in outputs(by_source["model.recommend(users=data.users, k=10)"], "text/html")
    table = by_source["sweep.trials"]["outputs"][-1]["data"]["text/plain"]
    assert table.count("finished") + table.count("stopped") == 4
    assert "<iframe srcdoc=" in outputs(by_source["sweep.report()"], "text/html")
    assert (tmp_path / "runs" / "shop" / "best" / "config.yaml").exists()
