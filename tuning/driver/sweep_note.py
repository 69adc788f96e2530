"""The description of the sweep's run, which MLflow shows above everything else."""

from __future__ import annotations

from fame.datasets.sequences import PARTS
from fame.evaluation.seeds import mean_sd
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.results.next_steps import model_commands, pages_command, resume_command
from tuning.storage.layout import Storage
from tuning.tracking.links import Place


def at_start(plan: Plan, storage: Storage, place: Place) -> str:
    """Return the description of a sweep that runs."""
    trials = "as many trials as fit," if plan.planned is None else f"{plan.planned} trials"
    lines = [
        f"{_title(plan)}: {trials} of {plan.epochs_text} each.",
        _links(plan, storage, place),
        _commands({"look": pages_command(plan, storage), "continue": resume_command(plan, storage)}),
    ]
    return "\n\n".join(lines)


def at_end(plan: Plan, storage: Storage, place: Place, best: Best | None, interrupted: bool) -> str:
    """Return the description of a sweep that has ended: the result, the charts and the commands."""
    commands = {"look": pages_command(plan, storage)}
    lines = [f"{_title(plan)}{': interrupted' if interrupted else ''}."]
    if best is not None:
        lines += [_metrics(best), f"Best trial `{best.trial_id}`, model `{best.place}`:", _point(best)]
        commands |= model_commands(storage)
    if interrupted:
        commands["continue"] = resume_command(plan, storage)
    return "\n\n".join([*lines, _links(plan, storage, place), _commands(commands)])


def _title(plan: Plan) -> str:
    return f"**{plan.options.model}** on **{plan.experiment.data.name}**, by validation {plan.options.metric}"


def _metrics(best: Best) -> str:
    """Return a table of the exported model's metrics: mean and standard deviation for several seeds."""
    found = best.metrics
    names = list(found["validation"])

    def value(part: str, name: str) -> str:
        return mean_sd(found["seeds"][part][name]) if "seeds" in found else f"{found[part][name]:.4f}"

    rows = [["", *names], ["---"] * (len(names) + 1)]
    rows += [[part, *(value(part, name) for name in names)] for part in PARTS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _point(best: Best) -> str:
    return "\n".join(f"- `{key}`: {value}" for key, value in best.point.items())


def _links(plan: Plan, storage: Storage, place: Place) -> str:
    trials = place.trials(storage.name, plan.options.metric)
    charts = place.trials(storage.name, plan.options.metric, compareRunsMode="CHART")
    return f"[Trials, best first]({trials}) · [Charts]({charts})"


def _commands(commands: dict[str, str]) -> str:
    width = max(map(len, commands.values()))
    lines = "\n".join(f"{command:{width}}  # {what}" for what, command in commands.items())
    return f"```bash\n{lines}\n```"
