"""Comparing sweeps: `python tuning/compare.py`.

    sweeps.py   sweeps and their exported models, read from MLflow
    pairs.py    whether two models may be compared, and which one is better user by user
    view.py     the comparison on the terminal and as a page

Outside code imports from the modules.
"""
