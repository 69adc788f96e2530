"""The learning curves as a picture."""

from __future__ import annotations

from pathlib import Path

from tuning.report.curves import draw_curves
from tuning.study.overview import trials_of
from tuning.study.sanity import sanity_of


def test_the_trials_are_drawn_where_there_are_any(swept, tmp_path: Path) -> None:
    study = swept.trials(9)
    draw_curves(trials_of(study), sanity_of(study), swept.plan.metric, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    draw_curves([], {}, swept.plan.metric, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
