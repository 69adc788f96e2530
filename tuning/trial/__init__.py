"""One trial: its training, its checkpoints, and the slots that run trials on Ray.

    plan.py          settings that all trials of a sweep share
    loop.py          trains one trial and yields a report after each epoch
    slot.py          a TorchTrainer that stays: Tune's actor for one trial after another
    worker.py        the training function of a slot's workers
    mailbox.py       commands to a worker, and its reports
    checkpoints.py   the checkpoints of a trial in storage
    restart.py       the note that a restarted trial finds in its configuration
    pulse.py         signs of life of the processes that train
    scratch.py       working folders that leave nothing behind

The search and the export know nothing of slots.
"""
