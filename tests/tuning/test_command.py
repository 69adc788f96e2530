"""The command `fame`: it starts the modules, is quick to explain itself, and completes in a shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fame import __version__
from tests.commands import call
from tuning import command
from tuning.command import COMMANDS, SHELLS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "mlflow", "optuna", "pandas", "transformers", "rich")
WITHOUT_HEAVY = f"""
import runpy, sys
sys.argv = ["fame", *sys.argv[1:]]
from tuning.command import run
try:
    run()
finally:
    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in the checkout."""
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=False)


def test_version_and_help_name_the_program_and_every_command():
    assert call(command.main, "--version").out == f"fame {__version__}\n"
    done = call(command.main, "--help")
    assert done.code == 0 and done.out.startswith("usage: command COMMAND [OPTIONS]")
    assert all(f"    {name} " in done.out for name in COMMANDS)


def test_no_command_and_an_unknown_one_are_refused_with_the_list():
    assert call(command.main).err.startswith("error: which command? Give one of sweep, train, ")
    done = call(command.main, "trian")
    assert done.code == 2 and done.err.startswith(
        "error: COMMAND trian: did you mean 'train'? (known: compare, dashboards, "
    )
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_names_what_was_typed(name):
    done = call(command.main, name, "--help")
    assert done.code == 0 and done.out.startswith(f"usage: command {name} ")


@pytest.mark.parametrize(
    "words",
    [
        *([name, "--help"] for name in COMMANDS),
        ["--help"],
        ["sweep", "--trials", "0"],
        ["sweep", "--scheduler", "ahsa"],
        ["sweep", "--resume", "--storage", "/gone"],
        ["train", "--seeds", "0"],
        ["recommend", "--model", "m"],
        ["doctor", "--timeout", "0"],
    ],
    ids=" ".join,
)
def test_help_and_errors_of_options_import_nothing_heavy(words):
    done = run("-c", WITHOUT_HEAVY, *words)
    assert done.stderr.endswith("[]\n"), done.stderr
    assert done.returncode == (0 if "--help" in words else 2)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["-m", "fame.train"], "python -m fame.train"),
        (["-m", "fame.datasets"], "python -m fame.datasets"),
        (["-m", "tuning.command", "train"], "python -m tuning.command train"),
        (["tuning/sweep.py"], "python tuning/sweep.py"),
        (["-m", "tuning.sweep"], "python -m tuning.sweep"),
    ],
)
def test_other_ways_to_start_a_command_are_named_in_its_help(words, shown):
    assert run(*words, "--help").stdout.startswith(f"usage: {shown} [")


def test_a_package_that_is_not_installed_is_a_line_with_its_extra(monkeypatch):
    def lacks() -> None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray.tune")

    monkeypatch.setattr("tuning.sweep.main", lacks)
    done = call(command.main, "sweep")
    assert done.err == "error: the package ray is not installed; pip install 'fame-tuning[tuning]' brings it\n"


def test_a_module_of_ours_that_is_missing_keeps_its_traceback(monkeypatch):
    def lacks() -> None:
        raise ModuleNotFoundError("No module named 'fame.gone'", name="fame.gone")

    monkeypatch.setattr("tuning.sweep.main", lacks)
    monkeypatch.setattr(sys, "argv", ["fame", "sweep"])
    with pytest.raises(ModuleNotFoundError, match=r"fame\.gone"):
        command.main()


@pytest.mark.parametrize("shell", SHELLS)
def test_completions_know_every_command_and_the_options_of_the_sweep(shell):
    done = call(command.main, "--completion", shell)
    assert done.code == 0
    assert all(name in done.out for name in COMMANDS)
    assert "final-top" in done.out and "dry-run" in done.out


def test_bash_completes_a_command_and_an_option(tmp_path):
    script = tmp_path / "complete.sh"
    ask = 'COMP_WORDS=(fame {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_fame; echo "${{COMPREPLY[@]}}"\n'
    text = call(command.main, "--completion", "bash").out
    script.write_text(text + "".join(map(ask.format, ("rec", "sweep --final-t", "sweep --scheduler hyp"))))
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["recommend", "--final-top", "hyperband"]
