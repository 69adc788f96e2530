"""Comparing sweeps: `python tuning/compare.py`.

sweeps.py      what MLflow knows of sweeps and their exported models, found by name
pairs.py       whether the models may be compared, and which of two is better, user by user
tables.py      the same on the terminal
html.py        and as a page
"""
