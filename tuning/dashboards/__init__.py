"""Optuna's dashboard and MLflow's pages of a sweep, served on this machine.

    serving.py       starts the pages and ends them
    servers.py       the process that serves them
    named_study.py   a study with names and links
    __main__.py      `python -m tuning.dashboards`

Outside code imports `dashboards` from here.
"""

from tuning.dashboards.serving import dashboards

__all__ = ["dashboards"]
