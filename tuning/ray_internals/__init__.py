"""Private parts of Ray that this package relies on. The next version of Ray is work in this folder only.

    addresses.py           the head's address, and a Ray on 127.0.0.1
    chosen_ids.py          trials under ids that the search chooses
    ended_trials.py        what Tune keeps of a trial that has ended
    hyperband.py           Ray's HyperBand, corrected
    in_order.py            schedulers that look at open trials only
    key_value.py           the key-value store in Ray's head
    leaving.py             Ray's shutdown beside other threads
    memory_monitor.py      trials that Ray's memory monitor kills
    node_processes.py      the processes of Ray's node on this machine
    plain_output.py        lines of other processes without colours
    result_table.py        Tune's own table of all results
    slot_trainer.py        a TorchTrainer within one actor of Tune
    train_checkpoints.py   Ray Train's list of checkpoints
    train_errors.py        errors of Ray Train
    tune_environment.py    environment variables that Tune hands to trials

Each module states what it assumes of Ray, and its test checks that. Outside code imports from the modules.
"""
