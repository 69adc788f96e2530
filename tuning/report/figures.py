"""The plots of a report, as plotly figures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState

from tuning.plan.sweep_plan import Plan
from tuning.study.aims import direction, values_of
from tuning.study.excerpt import excerpt
from tuning.study.overview import overview, trials_of
from tuning.study.sanity import sanity_of
from tuning.study.trials import SweepTrial, ranked

CURVES = 60
"""Most learning curves that are drawn: those of the best trials."""
INK, LINE, FINISHED, STOPPED, BEST = "#1c2430", "#dde2e8", "#2456a6", "#98a2b0", "#c2410c"
HEIGHT = 380
BY_VALUE = {
    "model.heads": ("number of heads H", "Number of heads (the paper's Figure 5)"),
    "model.experts": ("number of experts N", "Number of experts (the paper's Figure 6)"),
}
PARALLEL_WIDTH = 110
"""Least pixels of an axis of the parallel coordinates."""
FEW_EPOCHS = 12
"""Most epochs that all have a mark on the axis. Without one plotly marks halves of few epochs."""
AXIS = {"gridcolor": LINE, "zeroline": False, "automargin": True, "linecolor": LINE}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure on the page."""

    title: str
    figure: dict[str, Any]
    """Plain values for the page's script."""
    width: int = 0
    """Least width in pixels. On a narrower page the figure scrolls."""
    note: str = ""

    @classmethod
    def of(cls, title: str, figure: go.Figure, note: str, width: int = 0) -> Plot:
        return cls(title=title, figure=json.loads(figure.to_json()), note=note, width=width)


def plots(plan: Plan, study: optuna.Study) -> list[Plot]:
    """Return all plots that the trials allow."""
    metric, trials = plan.metric, [trial for trial in ranked(trials_of(study)) if trial.curve]
    lines = {model: parts["validation"][metric] for model, parts in sanity_of(study).items()}
    if not trials:
        return []
    left_out = len(trials) - CURVES
    found = [
        Plot.of(
            "Learning curves",
            learning_curves(trials, metric, lines),
            "● finished  ✕ stopped early  ▷ running; orange is the best. Dashed: models that train nothing."
            + (f" The best {CURVES} of {len(trials)} trials." if left_out > 0 else ""),
        )
    ]
    for aim in plan.options.aims[1:]:
        figure = pareto(trials_of(study), plan.front(trials_of(study)), metric, aim)
        note = f"A point is a trial at its best epoch by {metric}. Orange: the front by all aims. Grey: the others."
        found.append(Plot.of(f"Pareto front: {metric} and {aim}", figure, note))
    for key, (label, title) in BY_VALUE.items():
        if len({trial.point[key] for trial in trials if key in trial.point}) > 1:
            figure = by_value(trials, key, label, metric)
            found.append(Plot.of(title, figure, "The line joins the best of each; all else differs, too."))
    if (figure := importances(study, metric)) is not None:
        found.append(
            Plot.of(
                "Importance of parameters",
                figure,
                "Optuna's PED-ANOVA over finished trials; a handful of trials says little.",
            )
        )
    if (figure := parallel_coordinates(study, metric)) is not None:
        width, note = PARALLEL_WIDTH * (len(plan.space.search) + 1), "Optuna's, of finished trials: a line is a trial."
        found.append(Plot.of("Parallel coordinates", figure, note, width))
    return found


def learning_curves(trials: Sequence[SweepTrial], metric: str, lines: Mapping[str, float]) -> go.Figure:
    """Draw each trial's validation metric by epoch. A cross marks a stopped trial, a dot a finished one.

    `lines` are values to compare with, by name. They are dashed.
    """
    best = trials[0]
    figure = go.Figure()
    for trial in reversed(trials[:CURVES]):  # the best on top
        epochs, values = zip(*trial.curve.items(), strict=True)
        color = BEST if trial is best else FINISHED if trial.state == "finished" else STOPPED
        mark = {"stopped": "x", "finished": "circle"}.get(trial.state, "triangle-right-open")
        figure.add_scatter(
            x=epochs,
            y=values,
            mode="lines+markers",
            name=_label(trial),
            line={"color": color, "width": 2.5 if trial is best else 1.2},
            marker={"symbol": mark, "size": [0] * (len(epochs) - 1) + [9], "color": color},
            hovertemplate=f"{_label(trial)}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    for name, value in lines.items():
        figure.add_hline(value, line={"dash": "dash", "width": 1, "color": STOPPED}, annotation_text=name)
    longest = max(max(trial.curve) for trial in trials[:CURVES])
    figure.update_xaxes(title="epoch", rangemode="tozero", dtick=1 if longest <= FEW_EPOCHS else None)
    figure.update_yaxes(title={"text": f"validation {metric}", "standoff": 10})
    return _styled(figure)


def by_value(trials: Sequence[SweepTrial], key: str, label: str, metric: str) -> go.Figure:
    """Draw the best validation metric of trials by one parameter's value. A line joins the best of each value."""
    having = [trial for trial in trials if key in trial.point]
    values = sorted({trial.point[key] for trial in having})
    figure = go.Figure()
    top = {value: max(t.value for t in having if t.point[key] == value and t.value is not None) for value in values}
    figure.add_scatter(
        x=[str(value) for value in values], y=list(top.values()), mode="lines", line={"color": FINISHED, "width": 2},
        name="best", hoverinfo="skip",
    )  # fmt: skip
    for state, color, symbol in (
        ("finished", FINISHED, "circle"),
        ("stopped", STOPPED, "x"),
        ("running", STOPPED, "triangle-right-open"),
    ):
        some = [trial for trial in having if trial.state == state]
        if some:
            figure.add_scatter(
                x=[str(trial.point[key]) for trial in some],
                y=[trial.value for trial in some],
                mode="markers",
                name=state,
                marker={"color": color, "symbol": symbol, "size": 9},
                text=[_label(trial) for trial in some],
                hovertemplate="%{text}: %{y:.4f}<extra></extra>",
            )
    order = [str(value) for value in values]
    figure.update_xaxes(title=label, type="category", categoryorder="array", categoryarray=order)
    figure.update_yaxes(title={"text": f"validation {metric}", "standoff": 10})
    return _styled(figure, legend=True)


def pareto(trials: Sequence[SweepTrial], front: Sequence[SweepTrial], metric: str, aim: str) -> go.Figure:
    """Draw the trials by two aims. A line joins those on the Pareto front."""
    figure, best = go.Figure(), {trial.id for trial in front}
    others = [trial for trial in trials if trial.id not in best]
    groups = (("other trials", others, STOPPED), ("Pareto front", front, BEST))
    for name, group, color in groups:
        points = [(trial, pair) for trial in group if (pair := values_of(trial, (metric, aim))) is not None]
        points.sort(key=lambda point: point[1][1])
        figure.add_scatter(
            x=[values[1] for _, values in points],
            y=[values[0] for _, values in points],
            mode="lines+markers" if group is front else "markers",
            name=name,
            line={"color": color, "width": 2},
            marker={"color": color, "size": 9},
            text=[_label(trial) for trial, _ in points],
            hovertemplate=f"%{{text}}<br>{aim} %{{x:.4g}}, {metric} %{{y:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title=f"{aim} ({direction(aim)})")
    figure.update_yaxes(title={"text": f"validation {metric}", "standoff": 10})
    return _styled(figure, legend=True)


def parallel_coordinates(study: optuna.Study, metric: str) -> go.Figure | None:
    """Return Optuna's own plot of the finished trials. None if there are fewer than two."""
    if len(_values(study)) < 2:
        return None
    with _quietly():
        figure = optuna.visualization.plot_parallel_coordinate(_finished(study), target_name=metric)
    figure.update_traces(opacity=1, line={"width": 2}, selector={"mode": "lines"})
    return _styled(figure).update_layout(plot_bgcolor=LINE)  # the color of the lowest value is nearly white


def importances(study: optuna.Study, metric: str) -> go.Figure | None:
    """Return Optuna's own plot (PED-ANOVA) of the finished trials. None if they have fewer than two values."""
    if len(set(_values(study))) < 2:
        return None
    with _quietly():
        figure = optuna.visualization.plot_param_importances(_finished(study), target_name=metric)
    figure.update_traces(cliponaxis=False)  # the values stand beyond the bars
    figure = _styled(figure)
    figure.update_layout(margin={"r": 40})
    figure.update_yaxes(title=None)
    figure.update_xaxes(title="share of the importance")
    return figure


def _finished(study: optuna.Study) -> optuna.Study:
    """Return the finished trials alone. Optuna copies every trial of a study for every parameter."""
    finished = [trial for trial in overview(study).over if trial.state == TrialState.COMPLETE]
    return excerpt(sorted(finished, key=lambda trial: trial.number))


def _values(study: optuna.Study) -> list[float]:
    return [trial.value for trial in trials_of(study) if trial.state == "finished" and trial.value is not None]


def _label(trial: SweepTrial) -> str:
    return f"{trial.id} ({trial.name})"


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Optuna's warnings off the terminal. The page itself says that few trials say little."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        yield


def _styled(figure: go.Figure, legend: bool = False) -> go.Figure:
    figure.update_xaxes(**AXIS)
    figure.update_yaxes(**AXIS)
    figure.update_layout(
        template="none",
        title=None,
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hovermode="closest",
    )
    if legend:
        figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    else:
        figure.update_layout(showlegend=False)
    return figure
