"""The page of a sweep: tables, warnings and plots in one file that needs no network."""

from __future__ import annotations

import base64
import collections
import gzip
import json
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from fame.datasets.sequences import PARTS
from fame.evaluation import seeds
from fame.evaluation.seeds import mean_sd
from tuning.pages import render, write_page
from tuning.pages.tables import Table, clock, columns
from tuning.plan.sweep_plan import Plan
from tuning.report import figures
from tuning.report.edges import edges
from tuning.report.exported import ModelOnPage
from tuning.report.savings import Spent, spent
from tuning.results.by_model import by_model
from tuning.results.final import Final, repeats
from tuning.results.next_steps import pages_command
from tuning.space.space import MODEL, plain
from tuning.storage.layout import Storage
from tuning.study.aims import values_of
from tuning.study.overview import trials_of
from tuning.study.reading import open_read_only, tracked_of
from tuning.study.sanity import Sanity, sanity_of
from tuning.study.trials import LETTERS, SweepTrial, number, ranked, run_name, short, total_uses
from tuning.tracking.links import Place, address

SHOWN = 10
"""Most trials in the table of the best."""


def write_report(
    plan: Plan, storage: Storage, study: optuna.Study, statistics: Mapping[str, Any] | None, path: Path | None = None
) -> Path:
    """Write the sweep's report and return its path: `report.html` in the sweep's folder unless `path` is given.

    Raises `UserError` if it cannot be written.
    """
    path = path or storage.report
    write_page(path, report(plan, storage, study, statistics))
    return path


def report(plan: Plan, storage: Storage, study: optuna.Study, statistics: Mapping[str, Any] | None) -> str:
    """Return the page's HTML."""
    trials = trials_of(study)
    best = next(iter(ranked(trials)), None)
    used = spent(trials, plan.space, datetime.now())
    over = sum(trial.ended for trial in trials)
    exported, place = ModelOnPage.read(plan, storage), Place.of(tracked_of(study))
    tables = [
        None if exported is None else exported.table(plan.metric),
        _front(plan, trials),
        _best_trials(plan, trials),
        _models(plan, trials),
        _sanity(plan, sanity_of(study), trials),
        _final(plan, storage, trials),
        _faults(trials),
        _time(trials, used),
        _space(plan),
        _dataset(statistics),
    ]
    metric, data, uri = plan.metric, plan.experiment.data, plan.options.tracking_uri
    return render(
        "report.html",
        title=storage.name,
        subtitle=f"{plan.models} on {data.name}, {plan.options.sampler} and {plan.options.scheduler}, "
        f"by validation {metric}; written {time.strftime('%Y-%m-%d %H:%M:%S')}"
        + ("" if plan.planned is None or over >= plan.planned else ", while trials are left"),
        cards=_cards(plan, trials, best, exported, used, over),
        exported=exported,
        mlflow=None if place is None else address(uri) + place.trials(storage.name, metric),
        served=uri.startswith("http"),
        look=pages_command(plan, storage),
        warnings=edges(plan.space, best.point) if best is not None else [],
        plots=figures.plots(plan, study),
        tables=[table for table in tables if table is not None],
        plotly=_plotly(),
    )


def _cards(
    plan: Plan,
    trials: list[SweepTrial],
    best: SweepTrial | None,
    exported: ModelOnPage | None,
    used: Spent,
    over: int,
) -> list[tuple[str, str, str]]:
    """Return the cards at the top: a number, its name and a remark each."""
    counts, metric = collections.Counter(trial.word for trial in trials), plan.metric
    test = (
        []
        if exported is None
        else [(seeds.shown(exported.metrics, "test", metric), f"test {metric}", f"trial {exported.trial}")]
    )
    return [
        (
            str(over) if plan.planned is None else f"{over} / {plan.planned}",
            "trials ended",
            ", ".join(f"{n} {how}" for how, n in counts.items()),
        ),
        (
            "–" if best is None else best.value_text,
            f"best validation {metric}",
            "" if best is None else best.name,
        ),
        *test,
        (clock(used.seconds), "time of trials", f"{used.epochs} epochs"),
        (
            f"≤ {clock(used.seconds_spared)}",
            "spared by early stopping",
            f"{used.stopped} trials, ≤ {used.epochs_spared} epochs",
        ),
    ]


def _front(plan: Plan, trials: list[SweepTrial]) -> Table | None:
    aims = plan.options.aims
    rows = [
        [trial.id, *map(number, values_of(trial, aims) or ()), trial.name, trial.word, str(trial.epoch)]
        for trial in plan.front(trials)
    ]
    names = [*columns(["trial"], [f"validation {aims[0]}", *aims[1:]]), *columns(["", ""], ["epochs"])]
    return Table(title="Pareto front", columns=names, rows=rows, note=f"{plan.rule}.") if rows else None


def _best_trials(plan: Plan, trials: list[SweepTrial]) -> Table | None:
    now = datetime.now()
    rows = [
        [
            trial.id,
            trial.value_text,
            trial.name,
            trial.word,
            str(trial.epoch),
            clock(trial.seconds(now)),
            ", ".join(
                f"{plain(key)} {short(value)}"
                for key, value in trial.point.items()
                if key != MODEL and plain(key) not in LETTERS
            ),
        ]
        for trial in ranked(trials)[:SHOWN]
    ]
    names = [
        *columns(["trial"], [f"validation {plan.metric}"]),  # first: they stay in sight on a telephone
        *columns(["", ""], ["epochs", "time"]),
        *columns(["setting"], []),
    ]
    return Table(title="Best trials", columns=names, rows=rows) if rows else None


def _models(plan: Plan, trials: list[SweepTrial]) -> Table | None:
    rows = [
        [
            one.model,
            str(one.trials),
            str(one.epochs),
            clock(one.seconds),
            "–" if one.best is None else f"{one.best.value:.4f}",
        ]
        for one in by_model(trials, datetime.now())
    ]
    names = columns(["model"], ["trials", "epochs", "time of its trials", f"best validation {plan.metric}"])
    return Table(title="What each model reached, and what it cost", columns=names, rows=rows) if rows else None


def _sanity(plan: Plan, sanity: Sanity, trials: list[SweepTrial]) -> Table | None:
    """Return the counting models beside the best trial, by all metrics of the validation and the test."""
    if not sanity:
        return None
    metric, best = plan.metric, next(iter(ranked(trials)), None)
    names = sorted(next(iter(sanity.values()))["validation"], key=lambda name: name != metric)
    measured = {
        f"{model} {part}": values for part in PARTS for model, parts in sanity.items() for values in [parts[part]]
    }
    rows = [[name, *(f"{values[name]:.4f}" for values in measured.values())] for name in names]
    note = "These models count and train nothing. A search is worth its time if its best trial is clearly above them."
    if best is not None:
        note += f" The best trial has {best.value:.4f} by validation {metric}."
    return Table(
        title="Sanity: the same data without training",
        columns=columns(["metric"], list(measured)),
        rows=rows,
        note=note,
    )


def _final(plan: Plan, storage: Storage, trials: list[SweepTrial]) -> Table | None:
    if not (plan.options.final_top and storage.final.exists and storage.final.study.exists()):
        return None
    final = Final.of(plan, storage, trials)
    assert final is not None
    finals = optuna.load_study(study_name=storage.name, storage=open_read_only(storage.final.study))
    rows = []
    for found in repeats(final, trials_of(finals)):
        one = found.to_dict()
        cells = [run_name(one["params"], one["trial"]), ", ".join(f"{value:.4f}" for value in one["values"])]
        rows.append([one["trial"], mean_sd(one), *cells])
    names = [*columns(["trial"], ["mean ± standard deviation"]), *columns(["", "validation of each seed"], [])]
    title = f"Final evaluation with seeds {', '.join(map(str, final.seeds))}"
    return Table(title=title, columns=names, rows=rows, note="The best mean is chosen.") if rows else None


def _faults(trials: list[SweepTrial]) -> Table | None:
    found = [trial for trial in trials if trial.went_wrong]
    rows = [
        [t.id, run_name(t.point, ""), t.word, t.over_limit if t.broken or t.fault is None else t.fault.reason]
        for t in found[-SHOWN:]
    ]
    title = f"Trials that went wrong ({len(found)})"
    return Table(title=title, columns=columns(["trial", "", "what", "reason"], []), rows=rows) if rows else None


def _time(trials: list[SweepTrial], used: Spent) -> Table:
    rows = [
        ["trials, together", f"{clock(used.seconds)} for {used.epochs} epochs"],
        [
            "early stopping",
            f"{used.stopped} trials stopped: at most {used.epochs_spared} epochs, about {clock(used.seconds_spared)}, not trained",
        ],
        *([f"stage {name}", str(uses)] for name, uses in total_uses(trials).items()),
    ]
    return Table(title="Time, and what was saved", columns=columns(["", ""], []), rows=rows)


def _space(plan: Plan) -> Table:
    return Table(
        title="What is searched",
        columns=columns(["parameter", "values", "only where"], []),
        rows=plan.space.describe(),
        note="; ".join(plan.space.rules()),
    )


def _dataset(statistics: Mapping[str, Any] | None) -> Table | None:
    if statistics is None:
        return None
    counts = ("users", "items", "actions")
    rows = [[step["name"], *(f"{step[key]:,}" for key in counts), "", "", ""] for step in statistics["steps"]]
    shape = [f"{statistics['average_length']:.2f}", f"{statistics['density']:.4%}", f"{statistics['longest']:,}"]
    rows.append(["prepared", *(f"{statistics[key]:,}" for key in counts), *shape])
    names = columns(["step of preparation"], [*counts, "average length", "density", "longest"])
    split = statistics.get("split", {}).get("by", "leave-one-out")
    return Table(title="Dataset", columns=names, rows=rows, note=f"Split: {split}.")


@cache
def _plotly() -> str:
    """Return plotly.js compressed, as base64: 2 MB instead of 5. The page's script unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def statistics_of(storage: Storage) -> dict[str, Any] | None:
    """Return the dataset's statistics from the exported model. None if no model is exported."""
    path = storage.best / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8"))["dataset"]["statistics"] if path.is_file() else None
