"""The sweep from end to end: what it leaves, and that no interruption costs more than the epochs under way."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from optuna.trial import TrialState

from fame.errors import EXIT_FAILED, EXIT_USER_ERROR
from tests.tuning.sweeps import TINY, Sweeps, assert_agree, assert_nothing_left, wait_until
from tuning.study.trials import RAY_ID
from tuning.tracking.addresses import sqlite_uri

pytestmark = pytest.mark.slow

TRIALS = 6
EXPORTED = {"config.yaml", "model.safetensors", "metrics.json", "items.json", "ranks.safetensors", "README.md"} | {
    "users.safetensors"
}


def make_sweeps(factory: pytest.TempPathFactory, name: str) -> Sweeps:
    return Sweeps(factory.mktemp(name))


def ids(sweeps: Sweeps, name: str, *states: TrialState) -> set[str]:
    return {trial.user_attrs[RAY_ID] for trial in sweeps.study(name) if not states or trial.state in states}


# A sweep that nothing disturbs.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweeps, subprocess.CompletedProcess]:
    sweeps = make_sweeps(tmp_path_factory, "whole")
    args = (*TINY, "--trials", str(TRIALS), "--epochs", "2", "--sampler", "random", "--name", "whole")
    return sweeps, sweeps.run(*args)


def test_a_sweep_exports_records_and_leaves_nothing(whole: tuple[Sweeps, subprocess.CompletedProcess]) -> None:
    sweeps, done = whole
    assert done.returncode == 0 and done.stderr == "", done.stderr
    best = sweeps.folder / "runs/whole/best"
    assert {path.name for path in best.iterdir()} == EXPORTED
    assert len(ids(sweeps, "whole")) == TRIALS
    assert ids(sweeps, "whole", TrialState.PRUNED) and ids(sweeps, "whole", TrialState.COMPLETE)
    assert_agree(sweeps, "whole")
    parent, _ = sweeps.runs("whole")
    assert parent.data.tags["status"] == "finished" and parent.info.status == "FINISHED"
    winner = json.loads((best / "metrics.json").read_text())
    assert parent.data.tags["best_trial"] == winner["trial"]
    assert winner["validation"]["ndcg@10"] == max(
        trial.value for trial in sweeps.study("whole") if trial.state == TrialState.COMPLETE
    )
    assert_nothing_left(sweeps)


def test_what_is_printed_is_short_and_ours(whole: tuple[Sweeps, subprocess.CompletedProcess]) -> None:
    sweeps, done = whole
    assert str(sweeps.folder) not in done.stdout
    assert "model   runs/whole/best\n" in done.stdout
    assert re.search(rf"^\[\d\d:\d\d\] {TRIALS}/{TRIALS} .* about 00:00 left$", done.stdout, re.MULTILINE)
    assert not re.search("ray|Tune|Traceback|WARNING", done.stdout)


def test_the_readme_shows_the_lines_that_are_printed(whole: tuple[Sweeps, subprocess.CompletedProcess]) -> None:
    """Numbers and names differ, and the README leaves rows and lines out; what it shows is printed, in this order."""

    def shape(text: str) -> tuple[list[str], list[str]]:
        header = re.search(r"^┃ trial .*$", text, re.MULTILINE)
        assert header is not None
        lines = text[text.rindex("└") :].splitlines()[1:]
        return header[0].strip("┃").replace("┃", " ").split(), [line.partition(" ")[0] for line in lines if line]

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = next(block for block in readme.split("```") if "┃ trial" in block)
    (columns, lines), (printed_columns, printed) = shape(shown), shape(whole[1].stdout)
    assert columns == printed_columns
    assert lines == [line for line in printed if line in lines] and len(lines) > 5


def test_the_exported_configuration_repeats_the_result_and_the_model_serves(
    whole: tuple[Sweeps, subprocess.CompletedProcess],
) -> None:
    sweeps, done = whole
    (again,) = re.findall(r"^again   .*-m (\S+) (.*)$", done.stdout, re.MULTILINE)
    repeated = sweeps.module(again[0], *again[1].split(), "--output", "repeated")
    assert repeated.returncode == 0, repeated.stderr
    first, second = (
        json.loads((sweeps.folder / folder / "metrics.json").read_text())
        for folder in ("runs/whole/best", "repeated/best")
    )
    assert first["validation"] == second["validation"] and first["test"] == second["test"]
    (use,) = re.findall(r"^use     .*-m (\S+) (.*)$", done.stdout, re.MULTILINE)
    served = sweeps.module(use[0], *use[1].split(), "--top", "3")
    assert served.returncode == 0 and len(served.stdout.splitlines()) == 4, served.stderr


def test_a_finished_sweep_whose_state_is_damaged_resumes_to_the_same_end(
    whole: tuple[Sweeps, subprocess.CompletedProcess],
) -> None:
    sweeps, _ = whole
    before = {trial.user_attrs[RAY_ID]: trial.intermediate_values for trial in sweeps.study("whole")}
    for file in (sweeps.folder / "runs/whole/tune/whole").glob("experiment_state-*.json"):
        file.write_bytes(b"")
    done = sweeps.run("--resume", "--name", "whole")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "Tune's state is missing, damaged or of another version: ended trials are kept" in done.stdout
    assert {trial.user_attrs[RAY_ID]: trial.intermediate_values for trial in sweeps.study("whole")} == before
    assert_agree(sweeps, "whole")


# kill -9, twice, and Tune's state is lost; `tests/chaos` has the other ways to die.


def test_kill_9_loses_no_trial_not_even_with_its_state(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path / "k")
    command = (*TINY, "--trials", "3", "--epochs", "3", "--scheduler", "none", "--name", "k")
    killed = sweeps.stop(sweeps.start(*command), signal.SIGKILL, lambda: sweeps.epochs("k"))
    assert killed.returncode == -signal.SIGKILL
    known = ids(sweeps, "k")
    wait_until(lambda: not sweeps.processes())  # Ray's processes end by themselves

    killed = sweeps.stop(
        sweeps.start(*command, "--resume"), signal.SIGKILL, lambda: ids(sweeps, "k", TrialState.COMPLETE)
    )
    assert killed.returncode == -signal.SIGKILL
    assert known <= ids(sweeps, "k")
    finished = {t.user_attrs[RAY_ID]: t for t in sweeps.study("k") if t.state == TrialState.COMPLETE}
    wait_until(lambda: not sweeps.processes())

    for file in (sweeps.folder / "runs/k/tune/k").glob("*"):  # as if it had been killed before Tune saved anything
        if file.is_file():
            file.unlink()
    done = sweeps.run(*command, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_all_done_once(sweeps, "k", 3)
    for trial in sweeps.study("k"):
        if (before := finished.get(trial.user_attrs[RAY_ID])) is not None:
            assert trial.datetime_complete == before.datetime_complete
    assert_nothing_left(sweeps)


def assert_all_done_once(sweeps: Sweeps, name: str, trials: int) -> None:
    assert len(ids(sweeps, name, TrialState.COMPLETE)) == len(ids(sweeps, name)) == trials
    assert_agree(sweeps, name)


# Failures.


def test_a_trial_that_runs_out_of_memory_is_infeasible_and_the_others_go_on(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path / "f")
    space = {
        "base": {"model": {"name": "sasrec"}, "train": {"epochs": 1}},
        "search": {"model.dim": {"choices": [16, 1_000_000_000]}},
        "start": [{"model.dim": 1_000_000_000}, {"model.dim": 16}],
    }
    (sweeps.folder / "space.yaml").write_text(yaml.safe_dump(space))
    data = ("--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}")
    done = sweeps.run(*data, "--model", "sasrec", "--space", "space.yaml", "--trials", "2", "--name", "f")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "(1 infeasible, 1 finished)" in " ".join(done.stdout.split()) and "Traceback" not in done.stdout
    assert [trial.state for trial in sweeps.study("f")] == [TrialState.PRUNED, TrialState.COMPLETE]
    assert_agree(sweeps, "f")
    _, runs = sweeps.runs("f")
    (failed,) = ids(sweeps, "f", TrialState.PRUNED)
    assert runs[failed].data.tags["failure"] == "infeasible"
    assert "memory" in runs[failed].data.tags["error"] and runs[failed].info.status == "FAILED"


def test_when_all_trials_fail_the_sweep_does_and_says_why(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path / "n")
    done = sweeps.run(*TINY, "--trials", "1", "--epochs", "1", "--set", "train.lr=1e30", "--name", "n")
    assert done.returncode == EXIT_FAILED
    assert re.fullmatch(r"error: every trial failed; the last: .*(loss|score|finite).*\n", done.stderr), done.stderr
    assert [trial.state for trial in sweeps.study("n")] == [TrialState.FAIL]
    assert_agree(sweeps, "n")


# Own data, two workers.


def test_own_data_with_text_ids_on_two_workers(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path / "w")
    rows = [
        {"who": f"user-{u}", "what": f"item/{(3 * u + step) % 40}", "when": 1_000 * u + step}
        for u in range(120)
        for step in range(10)
    ]
    pd.DataFrame(rows).to_parquet(sweeps.folder / "mine.parquet")
    done = sweeps.run(
        *("--data", "mine.parquet", "--columns", "user=who,item=what,time=when", "--model", "sasrec"),
        *("--workers", "2", "--trials", "1", "--epochs", "2", "--name", "w", "--set", "model.dim=16"),
        *("--set", "model.dropout=0", "--set", "model.attention_dropout=0", "--set", "train.precision=float32"),
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    config = ("--config", "runs/w/best/config.yaml", "--output", "one")
    assert sweeps.module("fame.train", *config).returncode == 0
    two, one = (
        json.loads((sweeps.folder / folder / "metrics.json").read_text()) for folder in ("runs/w/best", "one/best")
    )
    assert one["validation"] == pytest.approx(two["validation"], abs=1e-4)
    assert one["history"][-1]["loss"] == pytest.approx(two["history"][-1]["loss"], rel=1e-4)
    served = sweeps.module("fame.recommend", "--model", "runs/w/best", "--history", "item/3,item/4", "--top", "2")
    assert served.returncode == 0 and re.search(r"^ *1 .*  item/\d+ ", served.stdout, re.MULTILINE), served.stderr
    assert_nothing_left(sweeps)


# Places as they really are.


def test_a_folder_of_any_name_and_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """As in a container whose root is read-only, with one configuration alone."""
    folder = tmp_path / "a%20b#c?"
    sweeps = Sweeps(folder, sqlite_uri(folder / "mlflow.db"))
    sweeps.environment["HOME"] = "/proc"  # nobody can make a file there, not even root
    (folder / "one.yaml").write_text("search: {model.heads: {choices: [2]}}")
    words = [word for word in TINY if word != "quick"]
    words.insert(words.index("--space") + 1, "one.yaml")
    done = sweeps.run(*words, "--epochs", "1", "--name", "w")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.count("the space has one configuration, and nothing is compared") == 2
    assert len(ids(sweeps, "w")) == 1 and "registry synthetic version 1 is champion" in done.stdout
    assert_agree(sweeps, "w")
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b#c?"]
    assert_nothing_left(sweeps)


# What cannot start.


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--gpus-per-worker 1", "--gpus-per-worker 1 with 1 workers asks for 1 GPUs, but Ray has 0"),
        ("--resume --name gone", "there is no sweep 'gone'"),
        ("--storage file/below", "--storage file/below: cannot write there"),
        (f"--tracking-uri http://127.0.0.1:{free_port()}", "is not reachable"),
    ],
)
def test_what_cannot_start_is_one_line_and_leaves_nothing(tmp_path: Path, args: str, words: str) -> None:
    sweeps = Sweeps(tmp_path / "e")
    (sweeps.folder / "file").touch()
    before = {path.name for path in sweeps.folder.iterdir()}
    refused = sweeps.run(*TINY, *args.split())
    assert refused.returncode == EXIT_USER_ERROR
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1 and words in refused.stderr
    assert {path.name for path in sweeps.folder.iterdir()} - before <= {"cache"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--name whole", "there is a sweep of this name at runs/whole; go on with --resume, or choose another"),
        ("--name whole --resume --seed 4", "--seed 4: the sweep was started with 0"),
    ],
)
def test_a_sweep_that_is_there_is_not_touched(
    whole: tuple[Sweeps, subprocess.CompletedProcess], args: str, words: str
) -> None:
    sweeps, _ = whole
    refused = sweeps.run(*TINY, *args.split())
    assert refused.returncode == EXIT_USER_ERROR
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1 and words in refused.stderr
