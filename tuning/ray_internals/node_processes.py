"""The processes of Ray's node on this machine, without which a driver cannot go on: the node's own one, and its agents.

Ray ends the node after the end of an agent. It then writes an error into the node's object store for each object that
the driver has there. If the store does not answer, it ends the driver with `_exit(1)`. No handler sees that. So a
driver that wants to go on has no objects there (`tuning.trial.shared_dataset`), and looks for the end of these
processes itself.

Assumptions: the node's process is called `raylet`. Its command holds the name of a socket, which the driver's own
object of the node has, too. The command of a worker that starts also holds it. The agents are its children, and their
commands are `ray::…Agent` or scripts named after an agent.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import psutil

AGENT = re.compile(r"ray::\w*Agent|/agent(/main)?\.py")


def node_processes() -> list[psutil.Process]:
    """Return the processes as far as this user sees them. The driver has to be connected."""
    from ray._private.worker import global_worker

    assert global_worker.node is not None, "the driver has to be connected"
    socket, found = global_worker.node.raylet_socket_name, []
    for process in psutil.process_iter():
        program, *words = command(process) or [""]
        if Path(program).name == "raylet" and any(socket in word for word in words):
            found += [process, *(child for child in children(process) if AGENT.search(" ".join(command(child))))]
    return found


def command(process: psutil.Process) -> list[str]:
    """Return a process's command. It is empty if the process has ended, or is another user's."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children()
    return []


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
