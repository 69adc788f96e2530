"""The plots of a report, as plotly figures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from tuning.study.trials import RAY_ID, ranked, run_name, score

CURVES = 60
"""Most learning curves that are drawn: those of the best trials."""
INK, LINE, FINISHED, STOPPED, BEST = "#1c2430", "#dde2e8", "#2456a6", "#98a2b0", "#c2410c"
HEIGHT = 380
AXIS = {"gridcolor": LINE, "zeroline": False, "automargin": True, "linecolor": LINE}


def learning_curves(trials: Sequence[FrozenTrial], metric: str) -> go.Figure:
    """Validation metric of each trial by epoch; a cross is where a trial was stopped, a dot where it finished."""
    best = trials[0]
    figure = go.Figure()
    for trial in reversed(trials[:CURVES]):  # the best on top
        epochs, values = zip(*sorted(trial.intermediate_values.items()), strict=True)
        color = BEST if trial is best else FINISHED if trial.state == TrialState.COMPLETE else STOPPED
        mark = {TrialState.PRUNED: "x", TrialState.COMPLETE: "circle"}.get(trial.state, "triangle-right-open")
        figure.add_scatter(
            x=epochs,
            y=values,
            mode="lines+markers",
            name=_name(trial),
            line={"color": color, "width": 2.5 if trial is best else 1.2},
            marker={"symbol": mark, "size": [0] * (len(epochs) - 1) + [9], "color": color},
            hovertemplate=f"{_name(trial)}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title="epoch", rangemode="tozero")
    figure.update_yaxes(title={"text": f"validation {metric}", "standoff": 10})
    return _styled(figure)


def by_value(trials: Sequence[FrozenTrial], key: str, label: str, metric: str) -> go.Figure:
    """Best validation metric of trials by the value of one parameter, and the best of each value as a line."""
    having = [trial for trial in trials if key in trial.params]
    values = sorted({trial.params[key] for trial in having})
    figure = go.Figure()
    top = {value: max(score(t) for t in having if t.params[key] == value) for value in values}
    figure.add_scatter(
        x=[str(value) for value in values], y=list(top.values()), mode="lines", line={"color": FINISHED, "width": 2},
        name="best", hoverinfo="skip",
    )  # fmt: skip
    for state, name, color, symbol in (
        (TrialState.COMPLETE, "finished", FINISHED, "circle"),
        (TrialState.PRUNED, "stopped", STOPPED, "x"),
        (TrialState.RUNNING, "running", STOPPED, "triangle-right-open"),
    ):
        some = [trial for trial in having if trial.state == state]
        if some:
            figure.add_scatter(
                x=[str(trial.params[key]) for trial in some],
                y=[score(trial) for trial in some],
                mode="markers",
                name=name,
                marker={"color": color, "symbol": symbol, "size": 9},
                text=[_name(trial) for trial in some],
                hovertemplate="%{text}: %{y:.4f}<extra></extra>",
            )
    order = [str(value) for value in values]
    figure.update_xaxes(title=label, type="category", categoryorder="array", categoryarray=order)
    figure.update_yaxes(title={"text": f"validation {metric}", "standoff": 10})
    return _styled(figure, legend=True)


def parallel_coordinates(study: optuna.Study, metric: str) -> go.Figure | None:
    """Optuna's own, of the trials that finished; None if there are fewer than two."""
    if len(_finished(study)) < 2:
        return None
    with _quietly():
        figure = optuna.visualization.plot_parallel_coordinate(study, target_name=metric)
    return _styled(figure)


def importances(study: optuna.Study, metric: str) -> go.Figure | None:
    """Optuna's own (PED-ANOVA), of the trials that finished; None if they cannot tell."""
    values = {trial.value for trial in _finished(study)}
    if len(values) < 2:
        return None
    with _quietly():
        figure = optuna.visualization.plot_param_importances(study, target_name=metric)
    figure.update_traces(cliponaxis=False)  # the values stand beyond the bars
    figure = _styled(figure)
    figure.update_layout(margin={"r": 40})
    figure.update_yaxes(title=None)
    figure.update_xaxes(title="share of the importance")
    return figure


def plain(figure: go.Figure) -> dict[str, Any]:
    """The figure as plain values, for the page's script."""
    return json.loads(figure.to_json())


def with_curves(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that have a value, best first."""
    return [trial for trial in ranked(study) if trial.intermediate_values]


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _name(trial: FrozenTrial) -> str:
    return f"{trial.user_attrs[RAY_ID]} ({run_name(trial.params, trial.user_attrs[RAY_ID])})"


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's warnings on the terminal: that it is experimental, and that few trials say little, as the page does."""
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
