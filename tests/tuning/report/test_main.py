"""`python -m tuning.report`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fame.errors import EXIT_USER_ERROR
from tests.commands import call
from tests.tuning.report.conftest import Swept
from tuning.report import __main__ as command

ROOT = Path(__file__).parents[3]


def test_the_command_writes_it_for_a_sweep_that_has_ended(swept: Swept, tmp_path: Path):
    swept.trials(4)
    swept.export()
    done = call(command.main, "mine", "--storage", tmp_path / "runs")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"report  {swept.storage.report}\n" and "5,678" in swept.storage.report.read_text()


def test_the_command_names_the_nearest_sweep_or_what_is_missing(swept: Swept, tmp_path: Path):
    done = call(command.main, "mien", "--storage", tmp_path / "runs")
    assert done.code == EXIT_USER_ERROR and "did you mean 'mine'?" in done.err
    done = call(command.main, "mine", "--storage", tmp_path / "runs")
    assert done.code == EXIT_USER_ERROR and "has no study" in done.err and "\n" not in done.err.strip()


def test_the_command_imports_neither_scikit_learn_nor_matplotlib(swept: Swept, tmp_path: Path):
    """They are 110 MiB and 1.4 CPU seconds. Nothing in the page needs them."""
    swept.trials(4)
    swept.export()
    code = (
        f"import sys; sys.argv = ['report', 'mine', '--storage', {str(tmp_path / 'runs')!r}]\n"
        "from tuning.report.__main__ import main; main()\n"
        "print(sorted({'optuna.importance', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "['optuna.importance']"
