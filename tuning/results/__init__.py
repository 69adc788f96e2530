"""Results: which trial is the best, and its exported model.

    best.py         exports the best trial
    by_model.py  what each of several models reached, and what it cost
    sanity.py       evaluates two models that count, to compare with
    final.py        trains the best configurations again with several seeds, and exports the best mean
    next_steps.py   the commands that follow a sweep

Outside code imports from the modules.
"""
