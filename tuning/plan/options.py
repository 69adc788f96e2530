"""The options of a sweep: one field each, with its default, its help and its rules."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

from fame.config.metrics import ACCURACY
from fame.errors import UserError
from tuning.plan.durations import seconds_of
from tuning.plan.mlflow_defaults import (
    EXPERIMENT_HELP,
    LOCAL_STORE,
    TRACKING_HELP,
    default_experiment,
    default_tracking_uri,
)
from tuning.schedulers import SCHEDULERS
from tuning.search import SAMPLERS
from tuning.space.models import SHORTLIST
from tuning.storage.layout import STAGES
from tuning.study.aims import Limit, aims_of

FAME = "fame"
AUTO = "auto"
"""Value of --model for the shipped shortlist."""
FINAL_SEEDS = 5
"""Seeds of the last step if --final-seeds is not given."""


WHAT, HOW, WHERE, SEEN = "what to search", "how to search", "where to run", "what to see"
"""Groups of options in the help."""
LOUDNESS = "loudness"
"""Options of which one may be given."""


def option(
    group: str, help: str, default: Any = None, *, least: int | None = None, also: tuple[str, ...] = (), **argument: Any
) -> Any:
    """Return the field of an option. `least` is the lowest number that is allowed.

    `also` has further names of it, and `argument` is for argparse.
    """
    if default not in (None, ()) and "(default:" not in help and not isinstance(default, bool):
        help += f" (default: {default})"
    metadata = {"group": group, "least": least, "also": also, "argument": {"help": help, **argument}}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a sweep, with the defaults and the help of the command line."""

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`data.*` settings given by --dataset, --data-dir, --data, --columns, --items."""
    model: str | None = option(
        WHAT,
        f"registered model, several with commas in between, or auto for {', '.join(SHORTLIST)} (default: auto for data "
        f"that are named, that of --space, and {FAME} with pbt and in the demonstration)",
    )
    space: str | None = option(
        WHAT,
        "YAML of the search space, or the name of a shipped one: fame, paper, quick, or that of a model "
        "(default: the model's own)",
        metavar="FILE",
    )
    set: tuple[str, ...] = option(
        WHAT,
        "set a key for every trial; it is then not searched (may be given several times)",
        (),
        action="append",
        metavar="SECTION.KEY=VALUE",
    )
    trials: int | None = option(
        WHAT,
        "trials in all (default: as many as --time-budget or --stop-after allow; without them by the data and the "
        "machines, 8 for --space and the demonstration, all for --sampler grid)",
        least=1,
        metavar="N",
    )
    epochs: int | None = option(WHAT, "most epochs of a trial (default: the space's)", least=1, metavar="N")
    time_budget: str | None = option(
        WHAT,
        "time for all trials together, such as 30m or 2h; then the best is exported (default: no limit)",
        metavar="TIME",
    )
    trial_time: str | None = option(
        WHAT,
        "training time of one trial, such as 10m; it ends after the epoch that reaches it (default: no limit)",
        metavar="TIME",
    )
    stop_after: int | None = option(
        WHAT,
        "propose no more trials once N trials in a row have not improved the best (default: off)",
        least=1,
        metavar="N",
    )
    metric: str = option(
        WHAT,
        f"validation metric to maximise: {', '.join(ACCURACY)}; after commas further aims, such as coverage@10 or "
        "latency_ms, for a Pareto front",
        "ndcg@10",
        metavar="KIND@K[,…]",
    )
    """Aims, with commas in between. The first one is the metric that schedulers and the export go by."""
    limits: tuple[str, ...] = option(
        WHAT,
        'limit that a trial must keep, such as "latency_ms < 5", "parameters < 1e6" or "coverage@10 > 0.1" (may be '
        "given several times)",
        (),
        action="append",
        metavar="LIMIT",
        also=("--limit",),
    )
    seed: int = option(WHAT, "seed of the search and of every training", 0)
    sampler: str = option(HOW, "how Optuna proposes", "tpe", choices=SAMPLERS)
    start_from: str | None = option(
        HOW,
        "begin with the best K points (default: 3) of an earlier sweep, of all sweeps on the data of that name, or of "
        "an experiment's YAML; where all else is the same, their finished trials teach the sampler",
        metavar="SWEEP[:K]",
    )
    scheduler: str = option(HOW, "early-stopping scheduler", "asha", choices=list(SCHEDULERS))
    final_top: int = option(
        HOW,
        "at the end train the best K configurations again with several seeds, and choose by the mean (default: off)",
        0,
        least=0,
        metavar="K",
    )
    final_seeds: int | None = option(HOW, f"seeds of each of them (default: {FINAL_SEEDS})", least=1, metavar="N")
    refit: str | None = option(
        HOW,
        "all: train the best configuration once more on everything, held-out items too, and export that (default: off)",
        choices=["all"],
    )
    concurrent: int | None = option(WHERE, "trials at a time (default: as many as fit)", least=1, metavar="N")
    workers: int = option(WHERE, "data-parallel workers of a trial", 1, least=1, metavar="N")
    cpus_per_worker: int = option(WHERE, "CPUs, and threads, of a worker", 1, least=1, metavar="N")
    gpus_per_worker: float | None = option(
        WHERE, "GPUs of a worker, 0.25 shares one among four (default: 1 if Ray has GPUs, else 0)", metavar="F"
    )
    hang_after: float = option(
        WHERE, "end and restart a trial that makes no step for so many seconds, 0 never", 1800.0, metavar="SECONDS"
    )
    address: str | None = option(WHERE, "Ray cluster to use: auto or HOST:6379 (default: a local one)")
    name: str | None = option(WHERE, "name of the sweep, its folder and its MLflow run (default: dataset-model-time)")
    storage: str = option(WHERE, "where sweeps are kept", "runs", metavar="PATH-or-URI")
    tracking_uri: str = option(WHERE, TRACKING_HELP, default_tracking_uri, metavar="URI")
    experiment: str | None = option(WHERE, EXPERIMENT_HELP, default_experiment, metavar="NAME")
    register: bool = option(
        WHERE, "register the exported model in MLflow under the dataset's name (default: yes)", True
    )
    resume: bool = option(WHERE, "continue the sweep --name (default: the newest one)", False)
    dry_run: bool = option(WHERE, "print the plan and stop", False)
    dashboard: bool = option(
        SEEN, "serve Optuna's and MLflow's pages of the sweep on this machine while it runs", False
    )
    quiet: bool = option(LOUDNESS, "print only the results, at the end", False)
    verbose: bool = option(LOUDNESS, "print every epoch, and the output of Ray and of the trials' processes", False)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value, least = getattr(self, f.name), f.metadata.get("least")
            if None not in (value, least) and value < least:
                raise UserError(f"{flag(f.name)} {value}: must be at least {least}")
        if not (math.isfinite(self.hang_after) and self.hang_after >= 0):
            raise UserError(f"--hang-after {self.hang_after:g}: must be a number of seconds, or 0 to wait for ever")
        for key in ("time_budget", "trial_time"):
            if getattr(self, key) is not None:
                seconds_of(getattr(self, key), flag(key))
        aims_of(self.metric)
        for limit in self.limits:
            Limit.parse(limit)
        if self.open_ended and SCHEDULERS[self.scheduler].pauses:
            raise UserError(
                f"--scheduler {self.scheduler}: advances all trials together, so give their number: --trials N"
            )
        if len(set(self.models)) < len(self.models):
            raise UserError(f"--model {self.model}: names a model twice; name each once")
        _check_gpus(self.gpus_per_worker)
        _check_final(self)
        if self.address is not None and self.address.startswith("ray://"):
            # Tune would run at the other end, without the search and the tracker that are here.
            raise UserError(
                f"--address {self.address}: a sweep runs on a node of its cluster, not through Ray Client; start it on "
                "one with --address auto, or send it there with ray job submit"
            )
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: must not be negative")
        if self.name is not None and plain_name(self.name) != self.name:
            raise UserError(
                f"--name {self.name!r}: must be a plain folder name: letters, digits, '-', '_' and '.', "
                "not starting with '.' or '-'"
            )
        if self.name == STAGES:
            raise UserError(f"--name {STAGES}: is the folder in which sweeps share stages; choose another name")

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are searched, by name."""
        return SHORTLIST if self.asked_model == AUTO else tuple(name.strip() for name in self.asked_model.split(","))

    @property
    def asked_model(self) -> str:
        """The value of --model, or its default."""
        chooses = self.data and self.space is None and not SCHEDULERS[self.scheduler].changes
        return self.model or (AUTO if chooses else FAME)

    @property
    def aims(self) -> tuple[str, ...]:
        """The aims, the metric first."""
        return aims_of(self.metric)

    @property
    def bounds(self) -> tuple[Limit, ...]:
        """The limits that trials have to keep."""
        return tuple(map(Limit.parse, self.limits))

    @property
    def open_ended(self) -> bool:
        """Whether a limit ends the sweep, and not a number of trials."""
        return self.trials is None and (self.time_budget is not None or self.stop_after is not None)

    @property
    def budget_seconds(self) -> float | None:
        return None if self.time_budget is None else seconds_of(self.time_budget, "--time-budget")

    @property
    def trial_seconds(self) -> float | None:
        return None if self.trial_time is None else seconds_of(self.trial_time, "--trial-time")


def plain_name(text: str) -> str:
    """Return `text` as a name that folders, URIs and shells take unchanged."""
    return re.sub(r"[^\w.-]+", "-", text).lstrip(".-") or "sweep"


def _check_gpus(share: float | None) -> None:
    if share is None:
        return
    if not math.isfinite(share):
        raise UserError(f"--gpus-per-worker {share}: must be a number")
    if share < 0:
        raise UserError(f"--gpus-per-worker {share:g}: must not be negative")
    if share > 1 and share != int(share):
        raise UserError(f"--gpus-per-worker {share:g}: above 1 it must be whole; only one GPU can be shared")


def _check_final(options: Options) -> None:
    if options.final_seeds is not None and not options.final_top:
        raise UserError(
            f"--final-seeds {options.final_seeds}: is about the last step, which --final-top K asks for; give both"
        )
    if options.final_top and SCHEDULERS[options.scheduler].changes:
        raise UserError(
            f"--final-top {options.final_top} with --scheduler {options.scheduler}: its trials change their settings on "
            "the way, so none can be trained again by its settings; use another scheduler, or leave --final-top out"
        )


DEFAULTS = Options(tracking_uri=LOCAL_STORE, experiment=None)
"""Without the environment, which is asked when an option is read."""
REMOVED = {"trainer": "leave it out: every sweep keeps the processes of its trials now"}
"""Options of earlier versions, and what to do in their place."""
PLACE = ("name", "storage", "address", "hang_after", "resume", "dry_run", "dashboard", "quiet", "verbose")
"""Options for the place and the output of a sweep. They do not define the sweep."""
LIMITS = ("trials", "epochs", "time_budget", "trial_time", "stop_after")
"""Options that say how long a sweep searches. A resumed sweep may get others."""
DATA_OPTIONS = {
    "data.name": "--dataset",
    "data.dir": "--data-dir",
    "data.path": "--data",
    "data.columns": "--columns",
    "data.separator": "--separator",
    "data.encoding": "--encoding",
    "data.where": "--where",
    "data.mixed_times": "--mixed-times",
    "data.time_format": "--time-format",
    "data.split": "--split",
    "data.items": "--items",
    "data.item_id": "--item-id",
    "text.facets": "--facets",
}
"""The option for each key of `Options.data`."""


def flag(key: str) -> str:
    """Return the option for a field: `--final-top` for `final_top`."""
    return f"--{key.replace('_', '-')}"
