"""A sweep as one page: `runs/NAME/report.html`, written during the sweep and at its end.

    figures.py    the plots
    curves.py     the learning curves as a picture
    savings.py    the time that early stopping saved
    exported.py   the exported model: metrics, configuration, commands
    edges.py      parameters whose best value lies at the end of their range
    lean.py       Optuna's plots without the libraries that they only look for
    page.py       the page, which needs no network
    callback.py   writes the page during the sweep, and the picture at its end
    __main__.py   `python -m tuning.report NAME`

Outside code imports from the modules.
"""
