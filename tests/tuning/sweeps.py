"""Whole sweeps as a user starts them: a process of its own, real Ray, a real MLflow store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path

import optuna
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from tuning.faults import FAULT
from tuning.study.file import open_journal
from tuning.study.trials import LOST, RAY_ID
from tuning.tracking.store import client_of

SOURCES = Path(__file__).parents[2]
TINY = (
    *("--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}", "--space", "quick"),
    *("--set", "model.dim=16", "--set", "backbone.epochs=0", "--set", "train.precision=float32"),
)
"""Data and model that train in a moment; most of a trial's time is then Ray's."""
PATIENCE = 600
"""Seconds for anything that ends by itself: the machine may have other work."""
MARK = "FAME_TEST_SWEEP"
STATUS = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
METRIC = "validation/ndcg_10"


RAYS_OWN = {".validate_storage_marker"}
"""Hidden files that Ray leaves beside what it stores."""


class Sweeps:
    """A working directory, and the sweeps that are run in it."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.folder = folder
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        """Where MLflow is asked."""
        self.mark = uuid.uuid4().hex
        (folder / "tmp").mkdir(parents=True)
        self.ray = Path(tempfile.mkdtemp(prefix="fr-", dir="/tmp"))  # Ray's sockets need short paths
        weakref.finalize(self, shutil.rmtree, self.ray, ignore_errors=True)
        self.environment = {
            **os.environ,
            "FAME_DATA": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(SOURCES),
            "TMPDIR": str(folder / "tmp"),
            "RAY_TMPDIR": str(self.ray),
            MARK: self.mark,
        }

    def start(self, *args: str) -> subprocess.Popen:
        """`python tuning/sweep.py …` in a process group of its own, as a shell does."""
        return self.popen(str(SOURCES / "tuning/sweep.py"), *args)

    def run(self, *args: str) -> subprocess.CompletedProcess:
        return self.end(self.start(*args))

    def module(self, name: str, *args: str) -> subprocess.CompletedProcess:
        """`python -m NAME …`"""
        return self.end(self.popen("-m", name, *args))

    def stop(
        self, process: subprocess.Popen, number: signal.Signals, when: Callable[[], object]
    ) -> subprocess.CompletedProcess:
        """Send a signal once something holds: Ctrl-C to the whole group, as a terminal does, others to the process."""
        wait_until(lambda: when() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        return self.end(process)

    def study(self, name: str) -> list[FrozenTrial]:
        """The sweep's trials as Optuna has them, without those that a kill left unknown to Tune."""
        path = self.folder / "runs" / name / "study.log"
        if not path.exists():
            return []
        copy = self.folder / "tmp" / f"{name}.log"  # reading must not touch a file that is being written
        copy.write_bytes(path.read_bytes())
        try:
            study = optuna.load_study(study_name=name, storage=open_journal(copy)[0])
        except KeyError:
            return []
        return [t for t in study.get_trials() if RAY_ID in t.user_attrs and LOST not in t.user_attrs]

    def epochs(self, name: str) -> int:
        """Epochs reported so far."""
        return sum(len(trial.intermediate_values) for trial in self.study(name))

    def runs(self, name: str) -> tuple[Run, dict[str, Run]]:
        """The sweep's run in MLflow, and those of its trials by Ray's ids."""
        client = self.client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, f"tags.sweep = '{name}'")
        (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
        children = [run for run in runs if run.data.tags["kind"] == "trial"]
        assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in children)
        by_trial = {run.data.tags["trial"]: run for run in children}
        assert len(by_trial) == len(children), "a trial has two runs"
        return parent, by_trial

    def steps(self, run: Run) -> list[int]:
        """Epochs of which MLflow has the metric, in the order they came."""
        return [point.step for point in self.client().get_metric_history(run.info.run_id, METRIC)]

    def client(self) -> MlflowClient:
        return client_of(self.uri)

    def processes(self, name: str = "") -> dict[int, str]:
        """Return the processes, by number, that a sweep here or its children started, with `name` in their command."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                status = (process / "status").read_text()
                command = (process / "cmdline").read_text()
                if f"{MARK}={self.mark}" in (process / "environ").read_text() and "State:\tZ" not in status:
                    found[int(process.name)] = command.replace("\0", " ").strip()
            except (OSError, UnicodeDecodeError):
                continue
        return {number: command for number, command in found.items() if name in command}

    def leftovers(self) -> list[str]:
        """Temporary files and folders, sessions of Ray, locks and leases."""
        temporary = [*(self.folder / "tmp").glob("fame-*"), *self.ray.iterdir()]
        runs = self.folder / "runs"
        unfinished = [path for pattern in ("*.lease-*", "*.tmp", ".*") for path in runs.rglob(pattern)]
        return sorted(str(path) for path in temporary + unfinished if path.name not in RAYS_OWN)

    def popen(self, *args: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen) -> subprocess.CompletedProcess:
        """Wait until a sweep has ended by itself."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def assert_nothing_left(sweeps: Sweeps) -> None:
    """No process, temporary folder, lock or half-written file."""
    wait_until(lambda: not sweeps.processes())
    assert sweeps.leftovers() == []


def assert_agree(sweeps: Sweeps, name: str) -> None:
    """MLflow has one run per trial of the study, each ended like it, with one point per epoch."""
    trials = {trial.user_attrs[RAY_ID]: trial for trial in sweeps.study(name)}
    _, runs = sweeps.runs(name)
    kept = {trial: run for trial, run in runs.items() if trial in trials}
    assert kept.keys() == trials.keys()
    assert {run.data.tags["status"] for trial, run in runs.items() if trial not in kept} <= {"interrupted"}
    for id, trial in trials.items():
        status = "failed" if FAULT in trial.user_attrs else STATUS.get(trial.state, "interrupted")
        assert runs[id].data.tags["status"] == status, id
        assert sweeps.steps(runs[id]) == sorted(trial.intermediate_values), id
        assert list(trial.intermediate_values) == list(range(1, len(trial.intermediate_values) + 1)), id
