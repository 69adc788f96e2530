"""The driver: the process that runs a sweep.

    run.py              runs a planned sweep, from its start or after an interruption
    lock.py             one driver at a time
    again.py            starts Ray again when it has died
    interrupt.py        Ctrl-C
    restoring.py        what a killed sweep needs besides Tune's own state
    sweep_run.py        the sweep's own run in MLflow
    sweep_note.py       the description of that run
    fault_callback.py   decides what follows from a trial's fault
    budget.py           limits on time
    hang.py             ends processes of trials that hang
    tune_files.py       Tune's working files on this machine
    tune_settings.py    Tune's environment variables and loggers

`tuning.library.run` calls `run_sweep`. Nothing else imports from here.
"""
