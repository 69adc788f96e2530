"""`python -m fame.export`: mistakes are one line, and nothing is written."""

from __future__ import annotations

import pytest

from fame.export import main
from tests.commands import call


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "export as what? Give --torch-export, --onnx, --hub, or --items"),
        (["--onnx", "--out", "x"], "--out and --license are those of --hub; give --hub, too"),
        (["--hub"], "nowhere holds no exported model (no model.safetensors); give the folder that a training wrote"),
        (["--onnx"], "nowhere holds no exported model (no model.safetensors); give the folder that a training wrote"),
    ],
)
def test_mistakes_are_one_line(options, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(main, "nowhere", *options)
    assert (done.code, done.err) == (2, f"error: {line}\n")
    assert not list(tmp_path.iterdir())
