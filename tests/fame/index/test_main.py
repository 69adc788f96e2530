"""`python -m fame.index`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fame.config import Experiment
from fame.index import __main__ as command
from fame.index.inverted import INDEX, read_index
from fame.serving import measure_index as measure
from fame.serving.recommender import load_recommender
from tests.commands import call

pytest.importorskip("faiss", reason="no faiss-cpu: pip install faiss-cpu")


@pytest.mark.parametrize("exact_ms", [50.0, 0.0])
def test_the_command_writes_an_index_where_it_wins(
    exported: tuple[Path, Experiment], monkeypatch: pytest.MonkeyPatch, exact_ms: float
) -> None:
    folder, _ = exported
    with torch.no_grad():
        queries_BD, _ = load_recommender(folder).queries([[number, number + 1] for number in range(1, 100)])
    monkeypatch.setattr(measure, "queries_of_users", lambda exported: queries_BD)
    times = iter([exact_ms, 1.0])
    monkeypatch.setattr(measure, "median_ms", lambda work, queries: next(times))
    done = call(command.main, "--model", folder)
    assert done.code == 0, done.err
    assert "of the exact top 10" in done.out
    assert (folder / INDEX).exists() == (exact_ms > 1)
    assert ("no index is written" in done.out) == (exact_ms < 1)
    if exact_ms > 1:
        table_VD = load_recommender(folder).scorer.table_VD
        assert read_index(folder, table_VD).probes >= 1
