"""The learning curves as a picture, for pages that take no scripts, such as MLflow's description of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tuning.report.figures import BEST, CURVES, FINISHED, LINE, STOPPED
from tuning.study.sanity import Sanity
from tuning.study.trials import SweepTrial, ranked

INCHES = (8.0, 3.6)


def draw_curves(trials: Sequence[SweepTrial], sanity: Sanity, metric: str, path: Path) -> None:
    """Draw the validation metric of the best trials by epoch. Models that train nothing are dashed.

    Without a trial that has an epoch, no picture is written.
    """
    drawn = [trial for trial in ranked(trials)[:CURVES] if trial.curve]
    if not drawn:
        return
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # else it tells of its cache of fonts
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    for trial in reversed(drawn):  # the best on top
        color = BEST if trial is drawn[0] else FINISHED if trial.state == "finished" else STOPPED
        mark, label = "x" if trial.state == "stopped" else "o", f"{trial.id}, the best" if trial is drawn[0] else None
        axes.plot(*zip(*trial.curve.items(), strict=True), color=color, label=label, marker=mark, markevery=[-1])
    for model, parts in sanity.items():
        value = parts["validation"][metric]
        axes.axhline(value, color=STOPPED, linestyle="--", linewidth=1)
        axes.annotate(model, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=STOPPED)
    axes.set(xlabel="epoch", ylabel=f"validation {metric}")
    axes.grid(color=LINE)
    axes.legend(frameon=False)
    figure.savefig(path)
