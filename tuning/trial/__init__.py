"""One trial: its training, its checkpoints, and two ways to run it on Ray.

    trainers.py        the two ways by name
    plan.py            settings that all trials of a sweep share
    loop.py            trains one trial and yields a report after each epoch
    torch_trainer.py   `torch`: each trial starts a Ray Train `TorchTrainer`
    inline.py          `inline`: trials of one worker, one after another in the same process
    checkpoints.py     the checkpoints of a trial in storage
    restart.py         the note that a restarted trial finds in its configuration
    pulse.py           signs of life of the processes that train
    scratch.py         working folders that leave nothing behind

Outside code imports `TRAINERS` from here. The search and the export do not know which way ran a trial.
"""

from tuning.trial.trainers import TRAINERS, Trainer

__all__ = ["TRAINERS", "Trainer"]
