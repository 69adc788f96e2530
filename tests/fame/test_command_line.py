"""The line that starts a command again works from the folder it was printed in."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fame.command_line import ROOT, line, search_path, typed

PRINTS = (
    "from fame.command_line import line, typed\nprint(typed())\nprint(line('train', 'fame.train', '--config', 'a b'))"
)


def printed(path: Path, folder: Path, *command: str, **environment: str) -> list[str]:
    """Write a program that prints its command and a line, and run it in a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{PRINTS}\n")
    path.chmod(0o755)
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_an_installed_program_is_named_by_its_path_if_the_shell_does_not_find_it(tmp_path):
    program = tmp_path / "env" / "bin" / "fame"
    found = f"{program.parent}:/usr/bin:/bin"
    assert printed(program, tmp_path, "env/bin/fame") == ["fame", "env/bin/fame train --config 'a b'"]
    assert printed(program, tmp_path, "fame", PATH=found) == ["fame", "fame train --config 'a b'"]
    other = tmp_path / "other"
    other.mkdir()
    assert printed(program, other, str(program))[1] == f"{program} train --config 'a b'"


def test_a_file_of_the_checkout_names_python_and_where_the_packages_lie(tmp_path):
    name, again = printed(tmp_path / "own.py", tmp_path, sys.executable, "own.py")
    assert name == "python own.py"
    assert shlex.split(again) == ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "fame.train", "--config", "a b"]


@pytest.mark.parametrize("where", ["checkout", "elsewhere"])
def test_the_line_of_a_sweep_starts_it_again_without_an_activated_environment(where, tmp_path):
    code = (
        "import sys, types\n"
        "main = sys.modules['__main__']\n"
        f"main.__spec__, main.__file__ = None, {str(ROOT / 'tuning' / 'sweep.py')!r}\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from fame.command_line import line\n"
        "print(line('sweep', 'tuning.sweep', '--resume', '--name', 'gone'))"
    )
    folder = ROOT if where == "checkout" else tmp_path
    bare = {"PATH": "/usr/bin:/bin"}
    words = {"cwd": folder, "env": bare, "capture_output": True, "text": True}
    again = subprocess.run([sys.executable, "-c", code], check=True, **words).stdout.strip()
    assert again.endswith("tuning/sweep.py --resume --name gone")
    storage = tmp_path / "runs"
    done = subprocess.run(f"{again} --storage {storage}", shell=True, check=False, **words)
    assert done.returncode == 2 and "--resume: there is no sweep 'gone'" in done.stderr


def test_other_modules_are_started_by_this_python(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert line("train", "fame.train").endswith("-m fame.train")


@pytest.mark.parametrize(
    ("argument", "module", "command"),
    [
        ("/somewhere/bin/fame", None, "fame"),
        ("tuning/sweep.py", None, "python tuning/sweep.py"),
        (str(ROOT / "fame" / "train.py"), "fame.train", "python -m fame.train"),
        (str(ROOT / "fame" / "index" / "__main__.py"), "fame.index.__main__", "python -m fame.index"),
    ],
)
def test_the_command_as_it_was_typed(argument, module, command, monkeypatch):
    spec = None if module is None else importlib.util.spec_from_file_location(module, argument)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    monkeypatch.setattr(sys, "argv", [argument])
    assert typed() == command


def test_a_program_of_this_environment_is_on_the_shells_path_or_gets_there(monkeypatch, tmp_path):
    programs = tmp_path / "my programs"
    programs.mkdir()
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    assert search_path("serve-it") is None, "there is none"
    (programs / "serve-it").write_text("#!/bin/sh\necho served\n")
    (programs / "serve-it").chmod(0o755)
    line = f"{search_path('serve-it')} serve-it"
    assert subprocess.run(["bash", "-c", line], capture_output=True, text=True).stdout == "served\n"
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert search_path("serve-it") is None, "the shell finds it"
