"""A sweep as one page: `runs/NAME/report.html`, written while it runs and when it has ended.

figures.py     the plots, by plotly; parallel coordinates and importances are Optuna's own
savings.py     what early stopping spared
edges.py       parameters whose best value lies at the end of their range
page.py        the page, which needs no network
callback.py    writes it while the sweep runs
__main__.py    `python -m tuning.report NAME`
"""
