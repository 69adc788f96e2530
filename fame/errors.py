"""Errors meant for the person at the keyboard, and how a command shows them.

A `UserError` names the value, the rule it breaks and the next step, in one line.
Anything else that escapes a command is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import codecs
import difflib
import io
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterable

from fame import interrupts

EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141

LISTED = 40
"""Most choices that a hint lists."""


class UserError(ValueError):
    """Input that cannot be used; the message is one line for a person."""


class DivergedError(ArithmeticError):
    """Training or evaluation met a value that is not finite; the settings are at fault, not the input."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint such as ``did you mean 'heads'?``, with the list of choices unless they are too many for a line."""
    choices = sorted(set(map(str, choices)))
    known = f"known: {', '.join(choices)}" if len(choices) <= LISTED else f"{len(choices)} are known"
    match = difflib.get_close_matches(str(name), choices, n=1)
    return f"did you mean '{match[0]}'? ({known})" if match else known


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and leave the process with its exit code.

    `UserError` → one line on standard error and exit code 2; `DivergedError` → one line and 1;
    Ctrl-C → 130; output that nobody reads any more, as after `| head`, → 141, as the shell has it.
    """
    interrupts.raise_again()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
    try:
        code = main() or 0
        if sys.stdout is not None:  # the shell may have closed it
            sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USER_ERROR
    except DivergedError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        if not _output_is_unread():
            raise
        code = EXIT_UNREAD
    except Exception as error:
        # Ctrl-C in the middle of an import leaves half a module, and that is what fails then.
        if not (interrupts.seen() and _of_an_import(error)):
            raise
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _of_an_import(error: BaseException) -> bool:
    """Whether an error came while a module was imported."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name == "<module>" for frame, _ in frames)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Characters that the console lacks, in ASCII: `>=` for ≥."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


IN_ASCII = {"≥": ">=", "≤": "<=", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "·": "-", "→": "->", "►": ">"}
IN_ASCII |= {"’": "'", "‘": "'", "“": '"', "”": '"', "✓": "yes", "✗": "no", "█": "#", "─": "-", "│": "|", "━": "-"}
"""Characters of our output that not every console has."""
PLAIN = "fame-plain"
"""Name under which Python knows `_plain`."""
codecs.register_error(PLAIN, _plain)


def _output_is_unread() -> bool:
    """Whether the broken pipe is standard output and no other; if so, the rest of it goes nowhere."""
    poll = select.poll()
    poll.register(sys.stdout.fileno())
    unread = any(events & select.POLLERR for _, events in poll.poll(0))
    if unread:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return unread
