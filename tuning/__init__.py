"""Tuning: search the best configuration on Ray, and keep, show and export what was found.

From Python:

    from tuning import tune

    sweep = tune(data, model="fame", trials=16)      # data: fame.Dataset
    sweep.best_model; sweep.trials; sweep.study      # a model, a data frame, an Optuna study
    sweep.report()                                   # the page, which a notebook shows

`command.py` is the program `fame`. The commands are `sweep.py` and `compare.py`, and `python -m tuning.report`,
`tuning.dashboards` and `tuning.registry`.

Imports run one way between the folders. Each line may import from the lines below it:

    library                                    runs a sweep from Python, and has its results
    driver                                     runs a planned sweep on Ray
    report  terminal                           show a sweep
    dashboards  comparison  results  machines  pages of it, sweeps side by side, the export, Ray and its nodes
    registry  tracking                         MLflow
    plan                                       options, space and data, checked before anything starts
    search  schedulers  trial                  propose points, stop trials early, train one trial
    study                                      the record of a sweep: its trials and how they ended
    faults  space  storage                     what went wrong, what is searched, where files lie
    pages  ray_internals                       tables and HTML, and private parts of Ray

`tests/fame/test_architecture.py` holds this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame import interrupts
from fame.names import imported_when_used

if TYPE_CHECKING:
    from tuning.library.sweep import Page, Sweep, open_sweep
    from tuning.library.tune import tune

__all__ = ["Page", "Sweep", "open_sweep", "tune"]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "Page": "tuning.library.sweep",
        "Sweep": "tuning.library.sweep",
        "open_sweep": "tuning.library.sweep",
        "tune": "tuning.library.tune",
    },
)

interrupts.on_the_way()
