"""Lines of Ray's other processes without colours, for files and pipes.

Ray 2.60 colours the name of a process unless ``RAY_COLOR_PREFIX`` is 0. It always colours the end of a repeated line, by the
function that is replaced here.
"""

from __future__ import annotations

import os


def print_without_colours() -> None:
    """Let this process print the lines of Ray's other processes without colours. A user's ``RAY_COLOR_PREFIX`` wins."""
    from ray._private import ray_logging

    if os.environ.setdefault("RAY_COLOR_PREFIX", "0") == "0":
        ray_logging._color = _plain


def _plain(msg: str) -> str:
    return msg
