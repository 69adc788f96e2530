"""Library: the functions that `import tuning` gives, over all other folders.

    tune.py     `tune`: searches the best settings of a model on a dataset
    sweep.py    `Sweep`: the trials, the best model and the report of a sweep; `open_sweep` opens one
    run.py      plans a sweep and runs it, for `tune` and for the command

The commands call these functions. No other folder imports from here.
"""
