"""Schedulers: they stop bad trials early, or let them continue from a better trial's state.

    kinds.py        the schedulers by name
    limits.py       epochs before a trial may be stopped, settings that may change on the way
    again.py        trials that go on in an extended sweep
    hyperband.py    HyperBand
    population.py   population based training

Outside code imports the names below from here.
"""

from tuning.schedulers.kinds import SCHEDULERS, Schedule

__all__ = ["SCHEDULERS", "Schedule"]
