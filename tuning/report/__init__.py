"""A sweep as one page: `runs/NAME/report.html`, written during the sweep and at its end.

    figures.py    the plots
    savings.py    the time that early stopping saved
    exported.py   the exported model: metrics, configuration, commands
    edges.py      parameters whose best value lies at the end of their range
    page.py       the page, which needs no network
    callback.py   writes the page during the sweep
    __main__.py   `python -m tuning.report NAME`

Outside code imports from the modules.
"""
