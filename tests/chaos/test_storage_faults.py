"""Disks that are full, over quota or read-only, and files that they have damaged."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER_ERROR
from fame.training.fit import CHECKPOINT
from tests.chaos.harness import TRIALS, Undisturbed, assert_sound, command, exported, key, record
from tests.tuning.sweeps import Sweeps, wait_until
from tuning.study.file import COPY
from tuning.study.trials import RAY_ID

pytestmark = pytest.mark.slow


# Disks.


@pytest.fixture
def disk(sweeps: Sweeps) -> Iterator[Path]:
    """A real file system of 48 MiB that the sweeps keep everything on."""
    folder = sweeps.folder / "runs"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
    assert shutil.disk_usage(disk).free == 0
    return path


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """A read-only view over the disk, as the kernel makes a disk read-only after an error: without asking those who
    have files open (`remount,ro` does not come through while there are any)."""
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def assert_stopped_for(done: subprocess.CompletedProcess, sweeps: Sweeps, name: str, why: str) -> None:
    """One line says what cannot be written and why; no trial has failed for it."""
    assert done.returncode == EXIT_FAILED, (done.returncode, done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    (line,) = lines
    assert line.startswith(f"error: cannot write {sweeps.folder}/runs/{name}/") and why in line
    assert line.endswith("; mend that, then --resume") and "MiB free)" in line
    assert "Traceback" not in done.stderr + done.stdout
    assert not [t for t in sweeps.study(name) if t.state in (TrialState.FAIL, TrialState.PRUNED)]


def test_a_disk_that_is_full(sweeps: Sweeps, undisturbed: Undisturbed, disk: Path) -> None:
    args = command(sweeps, "f")
    sweep = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs("f") > 5 or sweep.poll() is not None)
    filler = fill(disk)
    assert_stopped_for(sweeps.end(sweep), sweeps, "f", "no space left on the device")
    filler.unlink()
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    record("the disk is full", "stops; --resume", assert_sound(sweeps, "f", undisturbed))


def test_a_disk_that_becomes_read_only(sweeps: Sweeps, undisturbed: Undisturbed, disk: Path) -> None:
    args = command(sweeps, "r")
    sweep = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs("r") > 5 or sweep.poll() is not None)
    with read_only(disk):
        assert_stopped_for(sweeps.end(sweep), sweeps, "r", "the file system is read-only")
        refused = sweeps.run(*args, "--resume")
    assert refused.returncode == EXIT_USER_ERROR and refused.stderr.count("\n") == 1, refused.stderr
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    record("the disk becomes read-only", "stops; --resume", assert_sound(sweeps, "r", undisturbed))


def test_a_disk_without_room_for_a_sweep(sweeps: Sweeps, disk: Path) -> None:
    fill(disk)
    refused = sweeps.run(*command(sweeps, "n"))
    assert refused.returncode == EXIT_USER_ERROR and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("error: ") and "0.0 GiB free of" in refused.stderr


# Damaged files.


def killed(sweeps: Sweeps, args: tuple[str, ...], name: str) -> None:
    """A sweep that was killed in the middle."""
    done = sweeps.stop(sweeps.start(*args), signal.SIGKILL, lambda: sweeps.epochs(name) > 5)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())  # Ray's processes end by themselves


def test_a_truncated_checkpoint(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "c")
    stopped = sweeps.stop(sweeps.start(*args), signal.SIGINT, lambda: sweeps.epochs("c") > 5)
    assert stopped.returncode == EXIT_INTERRUPTED, stopped.stderr
    unfinished = [t.user_attrs[RAY_ID] for t in sweeps.study("c") if t.state == TrialState.RUNNING]
    newest = [max((sweeps.folder / "runs/c/trials" / id).glob(f"*/{CHECKPOINT}"), default=None) for id in unfinished]
    damaged = [file for file in newest if file is not None]
    assert damaged
    for file in damaged:
        os.truncate(file, file.stat().st_size // 2)
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for file in damaged:
        assert f"{file} is not a checkpoint of this program, or is damaged" in done.stdout
        assert not file.exists()
    assert done.stdout.count("; it goes on from ") == len(damaged)
    record("the newest checkpoint is cut off", "--resume", assert_sound(sweeps, "c", undisturbed))


@pytest.mark.parametrize("copies", [1, 2])
def test_a_corrupted_study_file(sweeps: Sweeps, undisturbed: Undisturbed, copies: int) -> None:
    """In the middle: of one copy, and, worse, of both."""
    args = command(sweeps, "s")
    killed(sweeps, args, "s")
    study = sweeps.folder / "runs/s/study.log"
    lines = study.read_bytes().count(b"\n")
    for path in (study, study.with_name(study.name + COPY))[:copies]:
        content = path.read_bytes().splitlines(True)
        content[lines // 2] = b"\0" * len(content[lines // 2])
        path.write_bytes(b"".join(content))
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert f"{study}: line {lines // 2 + 1} is damaged; the file is kept as study.log.damaged" in done.stdout
    assert ("is in neither copy" in done.stdout) == (copies == 2)
    what = "a line of the study's file is damaged" + (", in both copies" if copies == 2 else "")
    record(what, "--resume", assert_sound(sweeps, "s", undisturbed))


def test_a_truncated_stage(sweeps: Sweeps) -> None:
    """The backbone that all trials share: it is computed again, to the same, and so are the trials."""
    shared = ("--set", "backbone.epochs=1", "--set", "model.heads=2", "--epochs", "1")
    assert sweeps.run(*command(sweeps, "a", *shared)).returncode == 0
    (stage,) = (sweeps.folder / "runs/stages").glob("*.safetensors")
    before = stage.read_bytes()
    os.truncate(stage, len(before) // 2)
    done = sweeps.run(*command(sweeps, "b", *shared))
    assert done.returncode == 0, done.stderr
    first, second = ({key(t): t.intermediate_values for t in sweeps.study(name)} for name in ("a", "b"))
    assert first == second and len(second) == TRIALS
    assert exported(sweeps, "a")["test"] == exported(sweeps, "b")["test"]
    assert "1 computed (1 in place of a damaged one), 5 shared" in done.stdout
    assert len(stage.read_bytes()) == len(before)
    record("a shared stage is cut off", "by itself", Counter(), "that stage is computed again")
