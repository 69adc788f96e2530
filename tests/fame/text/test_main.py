"""`python -m fame.text` writes the stage's result, and says what it saw."""

from __future__ import annotations

import json
import sys

import pytest

from fame.artifacts.checkpoint import load_checkpoint
from fame.errors import UserError
from fame.text import __main__ as command


@pytest.fixture
def run(tiny_bert, tmp_path, monkeypatch, capsys):
    def call(*args: str) -> str:
        size = "data.size={users: 20, items: 120, labels: 4}"
        settings = ["--set", size, "--set", f"text.encoder={tiny_bert}", "--set", "model.dim=16"]
        words = ["fame.text", "--dataset", "synthetic", "--output", str(tmp_path / "out"), *settings, *args]
        monkeypatch.setattr(sys, "argv", words)
        command.main()
        return capsys.readouterr().out

    return call


def test_writes_vectors_heat_map_and_report_and_the_second_time_encodes_nothing(run, tmp_path):
    first = run("--set", "text.epochs=2")
    assert "120 texts encoded in " in first and "0 of 120 items have none (0.0%)" in first
    assert "facet facet_0: 4 labels; 100.0% of the items have one" in first
    assert "facet_1 → head 1" in first and "best-match purity" in first
    tensors, header = load_checkpoint(tmp_path / "out" / "text.safetensors")
    assert tensors["table_VD"].shape == (120, 16) and tensors["known_V"].all() and header == {"heads": 2, "dim": 16}
    assert (tmp_path / "out" / "probe.svg").read_text().startswith("<svg")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["epochs"] == 2 and len(report["accuracy"]) == 2
    assert report["heads"] == [0, 1]
    assert "0 texts encoded" in run("--set", "text.epochs=2")


def test_facets_of_the_users_choice(run):
    assert "facet_0" not in run("--facets", "facet_1", "--set", "text.epochs=1")


def test_the_stage_is_on_by_itself_and_may_be_plain(run):
    assert "probe" in run("--set", "text.plain=true")
    with pytest.raises(UserError, match="switches the text stage off"):
        run("--set", "text.epochs=0")
