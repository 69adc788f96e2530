"""The terminal: what a sweep prints before, during and after its trials.

    view.py       the live table, or lines where there is no terminal
    progress.py   Tune's events on the view
    waiting.py    says what trials wait for
    summary.py    the plan before, the results after

Outside code imports from the modules.
"""
