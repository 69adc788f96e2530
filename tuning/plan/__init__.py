"""The plan of a sweep: options, search space and data, checked before anything starts.

    options.py          the options, with their defaults and rules
    command_line.py     reads them from the command line
    mlflow_defaults.py  MLflow's store and experiment from the environment
    durations.py        durations such as 2h
    credentials.py      moves a password from a tracking address to the environment
    sweep_plan.py       the checked plan
    new_plan.py         makes it from the options
    recorded_plan.py    makes it from a sweep's record
    size.py             how long a sweep takes
    start_from.py       the best points and the lessons of earlier sweeps
    shared_stages.py    how many runs of shared stages a space needs

Outside code imports from the modules. Importing this folder loads nothing.
"""
