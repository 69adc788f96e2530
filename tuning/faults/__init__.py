"""Faults: how a trial can go wrong.

    fault.py   the kinds of faults, and the last report of a trial that has one
    judge.py   decides which fault an exception is
    disk.py    disks that are full or read-only, and the reserve kept for that case
    halt.py    stops the sweep for a reason of its own

Outside code imports the names below from here. `tuning.driver` decides what follows from a fault.
"""

from tuning.faults.fault import ENDS, FAULT, MENDED, Fault, FaultKind, end

__all__ = ["ENDS", "FAULT", "MENDED", "Fault", "FaultKind", "end"]
