"""The command line of `tuning/sweep.py`.

Options that were given are kept apart from their defaults. A resumed sweep takes all other options from its record. An
option that contradicts the record is an error.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import re
from dataclasses import dataclass
from typing import Any

from fame.command_line import CommandParser, Removed, typed
from fame.config.metrics import ACCURACY
from fame.datasets.options import add_data_options, data_settings
from fame.errors import UserError
from tuning.plan.credentials import without_credentials
from tuning.plan.durations import seconds_of
from tuning.schedulers import SCHEDULERS
from tuning.search import SAMPLERS
from tuning.space.models import SHORTLIST
from tuning.storage.layout import STAGES

TRACKING_URI, EXPERIMENT_NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
"""MLflow's own variables."""
LOCAL_STORE = "sqlite:///mlflow.db"
TRACKING_HELP = f"MLflow store or server (default: ${TRACKING_URI}, or {LOCAL_STORE})"
EXPERIMENT_HELP = f"MLflow experiment (default: ${EXPERIMENT_NAME}, or the dataset's name)"
AUTO = "auto"
"""Value of --model for the shipped shortlist."""
FINAL_SEEDS = 5
"""Seeds of the last step if --final-seeds is not given."""


def default_tracking_uri() -> str:
    """Return the MLflow address that the environment names, as every MLflow program takes it, or a local database."""
    uri = os.environ.get(TRACKING_URI)
    if not uri:
        return LOCAL_STORE
    os.environ[TRACKING_URI] = without_credentials(uri, TRACKING_URI)  # Ray hands the environment to its processes
    return os.environ[TRACKING_URI]


def default_experiment() -> str | None:
    """Return the MLflow experiment that the environment names, if it names one."""
    return os.environ.get(EXPERIMENT_NAME) or None


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a sweep, with the defaults of the command line."""

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`data.*` settings given by --dataset, --data-dir, --data, --columns, --items."""
    model: str = "fame"
    space: str | None = None
    set: tuple[str, ...] = ()
    trials: int | None = None
    epochs: int | None = None
    time_budget: str | None = None
    trial_time: str | None = None
    stop_after: int | None = None
    concurrent: int | None = None
    workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    scheduler: str = "asha"
    sampler: str = "tpe"
    start_from: str | None = None
    metric: str = "ndcg@10"
    seed: int = 0
    final_top: int = 0
    final_seeds: int | None = None
    refit: str | None = None
    hang_after: float = 1800.0
    name: str | None = None
    storage: str = "runs"
    tracking_uri: str = dataclasses.field(default_factory=default_tracking_uri)
    experiment: str | None = dataclasses.field(default_factory=default_experiment)
    """MLflow experiment. None is the one with the name of the data."""
    register: bool = True
    address: str | None = None
    resume: bool = False
    dry_run: bool = False
    dashboard: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        at_least = dict.fromkeys(
            ("trials", "epochs", "concurrent", "workers", "cpus_per_worker", "final_seeds", "stop_after"), 1
        )
        for key, lowest in {**at_least, "final_top": 0}.items():
            value = getattr(self, key)
            if value is not None and value < lowest:
                raise UserError(f"--{key.replace('_', '-')} {value}: must be at least {lowest}")
        if not (math.isfinite(self.hang_after) and self.hang_after >= 0):
            raise UserError(f"--hang-after {self.hang_after:g}: must be a number of seconds, or 0 to wait for ever")
        for key in ("time_budget", "trial_time"):
            if getattr(self, key) is not None:
                seconds_of(getattr(self, key), f"--{key.replace('_', '-')}")
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
        return SHORTLIST if self.model == AUTO else tuple(name.strip() for name in self.model.split(","))

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


def parse(arguments: list[str] | None = None) -> tuple[Options, dict[str, Any]]:
    """Return the options, and the options that were given on the command line."""
    args = parser().parse_args(arguments)
    given = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(Options)} | {"data": data_settings(args)}
    given = {
        key: tuple(value) if key == "set" else value
        for key, value in given.items()
        if value is not None and value != {}
    }
    if "tracking_uri" in given:
        given["tracking_uri"] = without_credentials(given["tracking_uri"])
    return Options(**given), given


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=typed(),
        description="Search the best configuration of a sequential recommender: Optuna proposes, Ray runs, "
        "MLflow records, and the best configuration is exported.",
    )
    add_data_options(parser)
    what = parser.add_argument_group("what to search")
    what.add_argument(
        "--model",
        help=_help(f"registered model, several with commas in between, or auto for {', '.join(SHORTLIST)}", "model"),
    )
    what.add_argument(
        "--space",
        metavar="FILE",
        help="YAML of the search space, or the name of a shipped one: "
        "fame, paper, quick, or that of a model (default: the model's own)",
    )
    what.add_argument(
        "--set",
        action="append",
        metavar="SECTION.KEY=VALUE",
        help="set a key for every trial; it is then not searched (may be given several times)",
    )
    what.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="trials in all (default: as many as --time-budget or --stop-after allow; without them by the data and the "
        "machines, 8 for --space and the demonstration, all for --sampler grid)",
    )
    what.add_argument("--epochs", type=int, metavar="N", help="most epochs of a trial (default: the space's)")
    what.add_argument(
        "--time-budget",
        metavar="TIME",
        help="time for all trials together, such as 30m or 2h; then the best is exported (default: no limit)",
    )
    what.add_argument(
        "--trial-time",
        metavar="TIME",
        help="training time of one trial, such as 10m; it ends after the epoch that reaches it (default: no limit)",
    )
    what.add_argument(
        "--stop-after",
        type=int,
        metavar="N",
        help="propose no more trials once N trials in a row have not improved the best (default: off)",
    )
    what.add_argument(
        "--metric", metavar="KIND@K", help=_help(f"validation metric to maximise: {', '.join(ACCURACY)}", "metric")
    )
    what.add_argument("--seed", type=int, help=_help("seed of the search and of every training", "seed"))
    how = parser.add_argument_group("how to search")
    how.add_argument("--sampler", choices=SAMPLERS, help=_help("how Optuna proposes", "sampler"))
    how.add_argument(
        "--start-from",
        metavar="SWEEP[:K]",
        help="begin with the best K points (default: 3) of an earlier sweep, of all sweeps on the data of that name, or of "
        "an experiment's YAML; where all else is the same, their finished trials teach the sampler",
    )
    how.add_argument("--scheduler", choices=list(SCHEDULERS), help=_help("early-stopping scheduler", "scheduler"))
    how.add_argument(
        "--final-top",
        type=int,
        metavar="K",
        help="at the end train the best K configurations again with several seeds, and choose by the mean (default: off)",
    )
    how.add_argument("--final-seeds", type=int, metavar="N", help=f"seeds of each of them (default: {FINAL_SEEDS})")
    how.add_argument(
        "--refit",
        choices=["all"],
        help="all: train the best configuration once more on everything, held-out items too, and export that (default: off)",
    )
    where = parser.add_argument_group("where to run")
    where.add_argument("--concurrent", type=int, metavar="N", help="trials at a time (default: as many as fit)")
    where.add_argument("--workers", type=int, metavar="N", help=_help("data-parallel workers of a trial", "workers"))
    where.add_argument(
        "--cpus-per-worker", type=int, metavar="N", help=_help("CPUs, and threads, of a worker", "cpus_per_worker")
    )
    where.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="F",
        help="GPUs of a worker, 0.25 shares one among four (default: 1 if Ray has GPUs, else 0)",
    )
    where.add_argument(
        "--trainer",
        action=Removed,
        const="leave it out: every sweep keeps the processes of its trials now",
        help=argparse.SUPPRESS,
    )
    where.add_argument(
        "--hang-after",
        type=float,
        metavar="SECONDS",
        help=_help("end and restart a trial that makes no step for so many seconds, 0 never", "hang_after"),
    )
    where.add_argument("--address", help="Ray cluster to use: auto or HOST:6379 (default: a local one)")
    where.add_argument("--name", help="name of the sweep, its folder and its MLflow run (default: dataset-model-time)")
    where.add_argument("--storage", metavar="PATH-or-URI", help=_help("where sweeps are kept", "storage"))
    where.add_argument("--tracking-uri", metavar="URI", help=TRACKING_HELP)
    where.add_argument("--experiment", metavar="NAME", help=EXPERIMENT_HELP)
    where.add_argument(
        "--register",
        action=argparse.BooleanOptionalAction,
        help="register the exported model in MLflow under the dataset's name (default: yes)",
    )
    where.add_argument(
        "--resume", action="store_true", default=None, help="continue the sweep --name (default: the newest one)"
    )
    where.add_argument("--dry-run", action="store_true", default=None, help="print the plan and stop")
    seen = parser.add_argument_group("what to see")
    seen.add_argument(
        "--dashboard",
        action="store_true",
        default=None,
        help="serve Optuna's and MLflow's pages of the sweep on this machine while it runs",
    )
    loudness = seen.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", default=None, help="print only the results, at the end")
    loudness.add_argument(
        "--verbose",
        action="store_true",
        default=None,
        help="print every epoch, and the output of Ray and of the trials' processes",
    )
    return parser


def _help(text: str, key: str) -> str:
    return f"{text} (default: {getattr(DEFAULTS, key)})"
