"""The plan that a sweep prints before it starts, and the results that it prints at its end."""

from __future__ import annotations

import collections
import itertools
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, JustifyMethod
from rich.table import Table

from fame.datasets import Dataset
from fame.datasets.dataset import dropped, roles
from fame.datasets.sequences import PARTS
from fame.errors import EXIT_FAILED, EXIT_INTERRUPTED
from fame.evaluation import seeds
from fame.evaluation.seeds import mean_sd
from tuning.faults.halt import finished_early, halted
from tuning.machines.resources import Resources
from tuning.pages.tables import clock
from tuning.plan.size import SAMPLE, spoken
from tuning.plan.sweep_plan import Plan
from tuning.registry import Registered
from tuning.results.best import Best
from tuning.results.by_model import by_model
from tuning.results.next_steps import model_commands, pages_command, resume_command
from tuning.storage.layout import Storage, shown
from tuning.study.aims import direction
from tuning.study.sanity import Sanity, judgement
from tuning.study.trials import SweepTrial, Varied, number, ranked, total_uses
from tuning.tracking.links import address
from tuning.tracking.projection import Projection

FRONT = 10
"""Most trials of the Pareto front in the table of results."""
SHOWN = 5
"""Most trials in the table of results: of the best ones, and of the failed ones."""

REAL_SEARCH = "python tuning/sweep.py --dataset ml-20m (or --data FILE)"


def print_plan(plan: Plan, dataset: Dataset, share: Resources, storage: Storage) -> None:
    """Print the data, space, trials and resources."""
    options, statistics = plan.options, dataset.statistics
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("data", f"{dataset.config.name}, recipe {dataset.recipe}, fingerprint {dataset.fingerprint}")
    table.add_row(
        "",
        f"{statistics['users']:,} users, {statistics['items']:,} items, {statistics['actions']:,} "
        f"interactions, {statistics['average_length']:.1f} a user",
    )
    for line in filter(None, (roles(dataset, plan.experiment.text.facets), dropped(statistics))):
        table.add_row("", line)
    table.add_row("space", f"{plan.space.source}: {plan.space.size_text()}")
    if plan.demonstrates:
        table.add_row("", f"a demonstration; a real search: {REAL_SEARCH}")
    for key, values, condition in plan.space.describe():
        table.add_row("", f"{key}  {values}{f'  when {condition}' if condition else ''}")
    for rule in plan.space.rules():
        table.add_row("", rule)
    given = min(len(plan.space.start), plan.planned or plan.trials)
    table.add_row(
        "trials",
        f"{_how_many(plan)}, {plan.epochs_text}; first {given} given; "
        f"{options.sampler} proposes, {options.scheduler} stops, by {plan.metric}",
    )
    if len(options.aims) > 1:
        learns = (
            f"{options.sampler} learns from all"
            if options.sampler in ("tpe", "gp")
            else f"{options.sampler} learns nothing"
        )
        table.add_row("aims", f"{', '.join(f'{direction(aim)} {aim}' for aim in options.aims)}; {learns}; {plan.rule}")
    if options.limits:
        table.add_row("limits", "; ".join(map(str, options.bounds)))
    if plan.exhausts:
        table.add_row("", exhausted(plan))
    if plan.lessons:
        table.add_row("", f"{len(plan.lessons)} finished trials of {options.start_from} teach the sampler")
    if plan.planned is None:
        table.add_row("", "the first trials' pace will say how many fit" if options.time_budget else "")
    else:
        lasts = plan.size(dataset, share.share).seconds(plan.planned, plan.epochs)
        ends = (
            f"; the time budget of {options.time_budget} ends it before"
            if lasts > (options.budget_seconds or lasts)
            else ""
        )
        table.add_row("", f"{spoken(lasts)} on these machines, within a factor of two{ends}")
    if advice := validated_text(plan, dataset, share):
        table.add_row("", advice)
    if options.trial_time is not None:
        table.add_row("", f"a trial ends after the epoch with which it has trained for {options.trial_time}")
    for stage in plan.shared_stages():
        table.add_row("stages", stage.text(plan.planned or plan.expected or plan.trials))
    if options.final_top:
        repeats = len(plan.final_seeds)
        trainings = options.final_top * repeats
        table.add_row(
            "final",
            f"then the best {options.final_top} again with {repeats} other seeds each: {trainings} trainings, at most "
            f"{trainings * plan.epochs:,} epochs"
            + ("" if plan.planned is None else f" (the trials: at most {plan.planned * plan.epochs:,})"),
        )
    table.add_row("resources", str(share))
    table.add_row("sweep", f"{storage.name} → {shown(storage.shared)}")
    Console().print(table, highlight=False, soft_wrap=True)


def validated_text(plan: Plan, dataset: Dataset, share: Resources) -> str:
    """Say how many users are validated, or that all of them cost more than the training."""
    users = dataset.statistics["users"]
    if 0 < plan.validated < users:
        return f"each epoch is validated on {plan.validated:,} of the users, the final model on all"
    if users > 2 * SAMPLE and plan.size(dataset, share.share).evaluation > 1 / 2:
        return f"validating all users takes longer than an epoch; --set train.validation_users={SAMPLE} takes a sample"
    return ""


def _how_many(plan: Plan) -> str:
    """Return the number of trials, or the limits that decide it."""
    options, limits = plan.options, []
    if plan.planned is not None:
        limits.append(str(plan.planned))
    elif options.time_budget is not None:
        limits.append(f"as many as fit into {options.time_budget} (about {plan.expected}, within a factor of two)")
    if options.stop_after is not None:
        limits.append(f"until {options.stop_after} in a row have not improved the best")
    return ", ".join(limits)


def print_results(
    plan: Plan,
    storage: Storage,
    trials: Sequence[SweepTrial],
    best: Best | None,
    projection: Projection,
    registered: Registered | str | None,
    sanity: Sanity,
) -> None:
    """Print the best trials, the failed ones, where everything lies, and the next commands."""
    metric = plan.metric
    counts = collections.Counter(trial.word if trial.ended else "unfinished" for trial in trials)
    table = Table(
        title=f"{storage.name}: {len(trials)} trials ({', '.join(f'{n} {how}' for how, n in counts.items())})"
    )
    shown_numbers, front = plan.shown_numbers, plan.front(trials)
    sides: dict[str, JustifyMethod] = {
        "trial": "left",
        "setting": "left",
        f"validation {metric}": "right",
        **dict.fromkeys(shown_numbers, "right"),
        **({"Pareto": "left"} if front else {}),
        "epochs": "right",
        "": "left",
    }
    for column, side in sides.items():
        table.add_column(column, justify=side)
    went_wrong = [trial for trial in trials if trial.went_wrong]
    best_ones = [*front[:FRONT], *(trial for trial in ranked(trials)[:SHOWN] if trial not in front)]
    varied = Varied.among(trials)
    for trial in (*best_ones, *went_wrong[:SHOWN]):
        table.add_row(
            trial.id,
            varied.setting(trial.point) or trial.name,
            trial.value_text,
            *(number(trial.numbers.get(name)) for name in shown_numbers),
            *(["front" if trial in front else ""] if front else []),
            str(trial.epoch),
            trial.word if trial.ended else "unfinished",
        )
    table.add_section()
    blank = [""] * (len(shown_numbers) + bool(front))
    for model, parts in sanity.items():
        table.add_row(model, "", f"{parts['validation'][metric]:.4f}", *blank, "-", "sanity")
    console = Console()
    console.print(table, highlight=False)
    if front:
        console.print(f"aims    {len(front)} trials on the Pareto front; {plan.rule}", highlight=False, soft_wrap=True)
    titles = itertools.chain(["stages"], itertools.repeat(""))
    for title, (stage, uses) in zip(titles, total_uses(trials).items(), strict=False):
        console.print(f"{title:8}{stage}: {uses}", highlight=False, soft_wrap=True)
    if plan.exhausts:
        console.print(f"space   {exhausted(plan)}", highlight=False, soft_wrap=True)
    for one in by_model(trials, datetime.now()):
        value = "no value" if one.best is None else f"{metric} {one.best.value:.4f} ({one.best.id})"
        cost = f"{one.trials} trials, {one.epochs} epochs, {clock(one.seconds)}"
        console.print(f"model   {one.model}: {value}; {cost}", highlight=False, soft_wrap=True)
    if best is None:
        if halted() is None and not any(trial.broken for trial in trials):
            console.print("No trial has trained the model for an epoch: nothing to export.", highlight=False)
        if not projection.is_complete:
            console.print("\n".join(mlflow_lines(plan, storage, projection)), highlight=False, soft_wrap=True)
        return
    found, commands = best.metrics, model_commands(storage)
    note = "" if best.finished else " (no trial finished: the best of those that were stopped)"
    if "final" in found:
        note = f" (mean over {len(found['final'][0]['seeds'])} seeds; its model is that of seed {found['seed']})"
    validation, test = (seeds.shown(found, part, metric) for part in PARTS)
    lines = [
        *(f"final   {one['trial']}  {mean_sd(one)}" for one in found.get("final", ())),
        f"best    {best.trial_id}{note}: {metric} validation {validation}, test {test}",
        *([f"sanity  {compared}"] if (compared := judgement(sanity, metric, found["test"].get(metric))) else []),
        f"model   {best.place}",
        *([f"report  {shown(storage.report)}"] if storage.report.exists() else []),
        *mlflow_lines(plan, storage, projection),
        *([f"registry {registered}"] if registered else []),
        *(f"{what:8}{command}" for what, command in commands.items()),
    ]
    if isinstance(registered, Registered):
        lines.append(f"serve   {registered.command(projection.where)}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def exhausted(plan: Plan) -> str:
    """Say that the space has no more configurations than there are trials."""
    if plan.trials > 1:
        return f"these {plan.trials:,} trials are all configurations of the space"
    return "the space has one configuration, and nothing is compared; search more keys, or run python -m fame.train"


def mlflow_lines(plan: Plan, storage: Storage, projection: Projection) -> list[str]:
    """Say where the runs are, or that MLflow is not up to date and how it will be."""
    if not projection.is_complete or projection.place is None:
        return [
            f"MLflow  {projection.where} does not answer ({projection.away}): {projection.behind} trials are not up to "
            f"date there; once it does, bring them up to date with: {resume_command(plan, storage)}"
        ]
    page = address(projection.where) + projection.place.trials(storage.name, plan.metric)
    return [
        f"MLflow  experiment '{plan.mlflow_experiment}' at {projection.where}, run '{storage.name}'",
        f"trials  {page}",
        f"pages   {pages_command(plan, storage)}",
    ]


def conclude(plan: Plan, storage: Storage, trials: Sequence[SweepTrial], interrupted: bool) -> int:
    """Return the exit code, and say why it is not 0.

    It is 0 if a trial has a value, 130 after Ctrl-C, and 1 if the sweep stopped itself or every trial failed.
    """
    if (limit := finished_early()) is not None and not interrupted:
        unfinished = sum(trial.state == "running" for trial in trials)
        left = f"; {unfinished} unfinished trials go on there" if unfinished else ""
        print(f"ended   {limit}; more of it: {resume_command(plan, storage)} --time-budget TIME{left}")
    if interrupted:
        print(f"resume  {resume_command(plan, storage)}")
        if (reason := halted()) is None:
            return EXIT_INTERRUPTED
        print(f"error: {reason}; mend that, then --resume", file=sys.stderr)
        return EXIT_FAILED
    if ranked(trials):
        return 0
    if limit is not None:
        print(f"error: {limit}, and no trial has had an epoch; give it more", file=sys.stderr)
        return EXIT_FAILED
    over = [trial for trial in trials if trial.broken]
    if over:
        print(
            f"error: no trial keeps the limits {'; '.join(map(str, plan.options.bounds))}, so none is exported; the last: "
            f"{over[-1].over_limit}; widen the space or the limits",
            file=sys.stderr,
        )
        return EXIT_FAILED
    faults = [trial.fault.reason for trial in trials if trial.fault is not None]
    print(f"error: every trial failed; the last: {faults[-1] if faults else 'no reason is known'}", file=sys.stderr)
    return EXIT_FAILED
