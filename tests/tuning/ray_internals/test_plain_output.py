"""Tests of the assumptions of `tuning.ray_internals.plain_output` about Ray."""

from __future__ import annotations

import io

import pytest
from ray._private import ray_logging
from ray._private.worker import print_worker_logs

from tuning.ray_internals.plain_output import print_without_colours


def printed() -> str:
    """Two processes say the same three times."""
    out = io.StringIO()
    repeated = ray_logging.DedupState(timestamp=0, count=3, line="said", metadata={}, sources=set())
    print_worker_logs({"pid": 7, "ip": "a", "localhost": "a", "lines": [repeated.formatted()]}, out)
    return out.getvalue()


def test_no_line_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_logging, "_color", ray_logging._color)  # given back at the end
    monkeypatch.delenv("RAY_COLOR_PREFIX", raising=False)
    assert printed().count("\x1b") == 4, "what Ray does: begin and end of the name and of the count"
    monkeypatch.setenv("RAY_COLOR_PREFIX", "1")
    print_without_colours()
    assert printed().count("\x1b") == 4, "a user's wish"
    monkeypatch.delenv("RAY_COLOR_PREFIX")
    print_without_colours()
    assert printed().startswith("(pid=7) said [repeated 3x across cluster]") and "\x1b" not in printed()
