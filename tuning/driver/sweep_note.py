"""The description of the sweep's run, which MLflow shows above everything else."""

from __future__ import annotations

from collections.abc import Sequence

from fame.datasets.sequences import PARTS
from fame.evaluation.seeds import shown
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.results.next_steps import model_commands, pages_command, resume_command
from tuning.storage.layout import Storage
from tuning.study.aims import values_of
from tuning.study.trials import SweepTrial, number
from tuning.tracking.links import Place


def at_start(plan: Plan, storage: Storage, place: Place) -> str:
    """Return the description of a sweep that runs."""
    trials = "as many trials as fit," if plan.planned is None else f"{plan.planned} trials"
    lines = [
        f"{_title(plan)}: {trials} of {plan.epochs_text}.",
        _links(plan, storage, place),
        _commands({"look": pages_command(plan, storage), "continue": resume_command(plan, storage)}),
    ]
    return "\n\n".join(lines)


def at_end(
    plan: Plan, storage: Storage, place: Place, best: Best | None, interrupted: bool, front: Sequence[SweepTrial] = ()
) -> str:
    """Return the description of a sweep that has ended: the result, the curves, the commands and all metrics.

    MLflow folds all but the first lines, so these have the result and the links.
    """
    commands = {"look": pages_command(plan, storage)}
    lines, table = [f"{_title(plan)}{': interrupted' if interrupted else ''}.", _links(plan, storage, place)], []
    if storage.curves.exists():
        lines.append(f"![Learning curves](get-artifact?path={storage.curves.name}&run_uuid={place.run_id})")
    if best is not None:
        metric = plan.metric
        result = " · ".join(f"{part} {metric} **{shown(best.metrics, part, metric)}**" for part in PARTS)
        lines.insert(1, result)
        lines += [f"Best trial `{best.trial_id}`, model `{best.place}`:", _point(best)]
        commands |= model_commands(storage)
        table.append(_metrics(best))
    if front:
        table.insert(0, f"Pareto front; {plan.rule}:\n\n{_front(plan, front)}")
    if interrupted:
        commands["continue"] = resume_command(plan, storage)
    return "\n\n".join([*lines, _commands(commands), *table])


def _title(plan: Plan) -> str:
    return f"**{plan.models}** on **{plan.experiment.data.name}**, by validation {plan.metric}"


def _metrics(best: Best) -> str:
    """Return a table of the exported model's metrics, a row for each."""
    rows = [["metric", *PARTS], ["---"] * (len(PARTS) + 1)]
    rows += [[name, *(shown(best.metrics, part, name) for part in PARTS)] for name in best.metrics["validation"]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _front(plan: Plan, front: Sequence[SweepTrial]) -> str:
    aims = plan.options.aims
    rows = [["trial", *aims], ["---"] * (len(aims) + 1)]
    rows += [[f"`{trial.id}`", *map(number, values_of(trial, aims) or ())] for trial in front]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _point(best: Best) -> str:
    return "\n".join(f"- `{key}`: {value}" for key, value in best.point.items())


def _links(plan: Plan, storage: Storage, place: Place) -> str:
    trials = place.trials(storage.name, plan.metric)
    charts = place.trials(storage.name, plan.metric, compareRunsMode="CHART")
    return f"[Trials, best first]({trials}) · [Charts]({charts})"


def _commands(commands: dict[str, str]) -> str:
    width = max(map(len, commands.values()))
    lines = "\n".join(f"{command:{width}}  # {what}" for what, command in commands.items())
    return f"```bash\n{lines}\n```"
