"""MLflow: a projection of the study, with one run for the sweep and one child run for each trial.

    projection.py   brings MLflow up to date, in a thread of the driver
    wanted.py       the runs as they have to be, computed from the study and the checkpoints
    reports.py      the metrics of epochs: noted in this process, else read from checkpoints
    writer.py       MLflow's side: the runs that are there, and the writes that they lack
    vocabulary.py   the metrics and parameters
    inputs.py       the dataset
    links.py        the pages of a sweep
    machine.py      CPU, memory and GPUs of the driver's machine
    runs.py         texts and batches as MLflow takes them, searches for runs
    addresses.py    checks of tracking addresses
    store.py        opens an address, and the meaning of its errors
    callback.py     notes Tune's events

Outside code imports `Projection` from `projection`, and checks addresses with `addresses`.
"""
