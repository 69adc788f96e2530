"""How a command leaves its process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fame.errors import UserError, nearest, run_command


def raises(error: BaseException):
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "message"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (raises(UserError("model.heads = 3: must divide 64")), 2, "error: model.heads = 3: must divide 64\n"),
        (raises(KeyboardInterrupt()), 130, "interrupted\n"),
    ],
)
def test_a_command_ends_with_its_code_and_at_most_one_line(main, code, message, capsys):
    with pytest.raises(SystemExit) as left:
        run_command(main)
    assert left.value.code == code
    assert capsys.readouterr().err == message


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raises(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("print('once')", 141, ""),
        ("print('at once', flush=True)", 141, ""),
        ("sys.stdout = open(os.devnull, 'w'); os.write(1, b'to another pipe')", 1, "BrokenPipeError"),
    ],
)
def test_output_that_nobody_reads_is_no_defect_but_another_broken_pipe_is(body, code, message):
    program = f"import os, sys\nfrom fame.errors import run_command\ndef main():\n    {body}\nrun_command(main)"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.returncode == code
    assert message in done.stderr
    assert message or not done.stderr


def test_a_hint_lists_the_choices_unless_they_are_too_many_for_a_line():
    assert nearest("head", ["heads", "dim", "heads"]) == "did you mean 'heads'? (known: dim, heads)"
    assert nearest("x", ["heads"]) == "known: heads"
    many = [f"setting_{number}" for number in range(50)]
    assert (
        nearest("setting_7x", many) == "did you mean 'setting_7'? (50 are known)"
        and nearest("?", many) == "50 are known"
    )
