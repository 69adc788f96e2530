"""What a sweep prints before it starts (the plan) and when it has ended (the results)."""

from __future__ import annotations

import collections
import itertools
import sys

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from fame.command_line import line
from fame.datasets import Dataset
from fame.datasets.sequences import PARTS
from fame.errors import EXIT_FAILED, EXIT_INTERRUPTED
from fame.evaluation.seeds import mean_sd
from fame.serving.exported import load_catalogue
from tuning.faults import FAULT, Fault
from tuning.faults.halt import halted
from tuning.machines.resources import Resources
from tuning.plan.options import DEFAULTS
from tuning.plan.sweep_plan import Plan
from tuning.registry import Registered
from tuning.results.best import Best
from tuning.storage.layout import Storage, shown
from tuning.study import stage_uses
from tuning.study.trials import LETTERS, LOST, RAY_ID, ranked, run_name, score
from tuning.tracking import Tracker

SHOWN = 5
"""Trials in the table of results: so many of the best, and of those that went wrong."""
HOW = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}
EXAMPLE_ITEMS = 3
"""Most popular items in the example of a history."""


def print_plan(plan: Plan, dataset: Dataset, share: Resources, storage: Storage) -> None:
    """Space, trials, resources, data."""
    options, statistics = plan.options, dataset.statistics
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("data", f"{dataset.config.name}, recipe {dataset.config.recipe}, fingerprint {dataset.fingerprint}")
    table.add_row(
        "",
        f"{statistics['users']:,} users, {statistics['items']:,} items, {statistics['actions']:,} "
        f"interactions, {statistics['average_length']:.1f} a user",
    )
    table.add_row("space", f"{plan.space.source}: {plan.space.size_text()}")
    for key, values, condition in plan.space.describe():
        table.add_row("", f"{key}  {values}{f'  when {condition}' if condition else ''}")
    for constraint in plan.space.constraints:
        table.add_row("", str(constraint))
    table.add_row(
        "trials",
        f"{plan.trials}, at most {plan.epochs} epochs each, first {len(plan.space.start)} given; "
        f"{options.sampler} proposes, {options.scheduler} stops, by {options.metric}",
    )
    for stage in plan.shared_stages():
        table.add_row("stages", stage.text(plan.trials))
    if options.final_top:
        seeds = len(plan.final_seeds)
        trainings = options.final_top * seeds
        table.add_row(
            "final",
            f"then the best {options.final_top} again with {seeds} other seeds each: {trainings} trainings, at most "
            f"{trainings * plan.epochs:,} epochs (the trials: at most {plan.trials * plan.epochs:,})",
        )
    table.add_row("resources", str(share))
    table.add_row("", f"{options.trainer} trainer")
    table.add_row("sweep", f"{storage.name} → {shown(storage.shared)}")
    Console().print(table, highlight=False, soft_wrap=True)


def print_results(
    plan: Plan,
    storage: Storage,
    study: optuna.Study,
    best: Best | None,
    tracker: Tracker,
    registered: Registered | str | None,
) -> None:
    """The best trials, those that went wrong, where everything lies, and the next command."""
    metric = plan.options.metric
    attempted = [trial for trial in study.get_trials(deepcopy=False) if RAY_ID in trial.user_attrs]
    trials = [trial for trial in attempted if LOST not in trial.user_attrs]
    counts = collections.Counter(map(_how, trials))
    table = Table(
        title=f"{storage.name}: {len(trials)} trials ({', '.join(f'{n} {how}' for how, n in counts.items())})"
    )
    for column, side in {
        "trial": "left",
        "setting": "left",
        f"validation {metric}": "right",
        "epochs": "right",
        "": "left",
    }.items():
        table.add_column(column, justify=side)
    went_wrong = [trial for trial in trials if FAULT in trial.user_attrs]
    for trial in (*ranked(study)[:SHOWN], *went_wrong[:SHOWN]):
        rest = ", ".join(
            f"{key.removeprefix('model.').removeprefix('train.')} {_short(value)}"
            for key, value in trial.params.items()
            if key not in LETTERS
        )
        name = run_name(trial.params, trial.user_attrs[RAY_ID])
        table.add_row(
            trial.user_attrs[RAY_ID],
            f"{name}; {rest}" if rest else name,
            "-" if trial in went_wrong else f"{score(trial):.4f}",
            str(max(trial.intermediate_values, default=0)),
            _how(trial),
        )
    console = Console()
    console.print(table, highlight=False)
    titles = itertools.chain(["stages"], itertools.repeat(""))
    for title, (stage, uses) in zip(titles, stage_uses.total(study).items(), strict=False):
        console.print(f"{title:8}{stage}: {uses}", highlight=False, soft_wrap=True)
    if best is None:
        if halted() is None:
            console.print("No trial has trained the model for an epoch: nothing to export.", highlight=False)
        if tracker.waiting:
            console.print(mlflow_line(plan, storage, tracker), highlight=False, soft_wrap=True)
        return
    found, folder = best.metrics, shown(storage.best)
    note = "" if best.finished else " (no trial finished: the best of those that were stopped)"
    if "final" in found:
        note = f" (mean over {len(found['final'][0]['seeds'])} seeds; its model is that of seed {found['seed']})"
    validation, test = (
        mean_sd(found["seeds"][part][metric]) if "seeds" in found else f"{found[part][metric]:.4f}" for part in PARTS
    )
    lines = [
        *(f"final   {one['trial']}  {mean_sd(one)}" for one in found.get("final", ())),
        f"best    {best.trial_id}{note}: {metric} validation {validation}, test {test}",
        f"model   {best.place}",
        *([f"report  {shown(storage.report)}"] if storage.report.exists() else []),
        mlflow_line(plan, storage, tracker),
        *([f"registry {registered}"] if registered else []),
        f"again   {line('train', 'fame.train', '--config', f'{folder}/config.yaml')}",
        f"use     {line('recommend', 'fame.recommend', '--model', folder, '--history', _example_history(storage))}",
    ]
    if isinstance(registered, Registered):
        lines.append(f"serve   {registered.command(tracker.where)}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def mlflow_line(plan: Plan, storage: Storage, tracker: Tracker) -> str:
    """Where the runs are, or what has not got there, and how it will."""
    if not tracker.waiting:
        return f"MLflow  experiment '{plan.experiment.data.name}' at {tracker.where}, run '{storage.name}'"
    return (
        f"MLflow  {tracker.where} does not answer ({tracker.away}): {tracker.waiting} writes wait in "
        f"{shown(tracker.spool)}; once it does, deliver them with: {resume_command(plan, storage)}"
    )


def _how(trial: FrozenTrial) -> str:
    """How a trial ended, in a word."""
    fault = Fault.of(trial.user_attrs)
    return HOW.get(trial.state, "unfinished") if fault is None else fault.kind


def _short(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _example_history(storage: Storage) -> str:
    catalogue = load_catalogue(storage.best)
    popular = sorted(range(len(catalogue.ids)), key=lambda index: -catalogue.counts[index])
    return ",".join(str(catalogue.ids[index]) for index in popular[:EXAMPLE_ITEMS])


def conclude(plan: Plan, storage: Storage, study: optuna.Study, interrupted: bool) -> int:
    """The exit code: 0 if a trial gave a result; 130 after Ctrl-C; 1 if the sweep stopped itself or all trials
    failed, which is said with the reason."""
    if interrupted:
        print(f"resume  {resume_command(plan, storage)}")
        if (reason := halted()) is None:
            return EXIT_INTERRUPTED
        print(f"error: {reason}; mend that, then --resume", file=sys.stderr)
        return EXIT_FAILED
    if ranked(study):
        return 0
    faults = [fault for trial in study.get_trials(deepcopy=False) if (fault := Fault.of(trial.user_attrs))]
    print(
        f"error: every trial failed; the last: {faults[-1].reason if faults else 'no reason is known'}", file=sys.stderr
    )
    return EXIT_FAILED


def resume_command(plan: Plan, storage: Storage) -> str:
    """Return the line that goes on with the sweep, from the working folder and without an activated environment."""
    words = ["--resume", "--name", storage.name]
    for key in ("storage", "address"):
        value = getattr(plan.options, key)
        if value != getattr(DEFAULTS, key):
            words += [f"--{key}", value]
    return line("sweep", "tuning.sweep", *words)
