"""Tuning: search the best configuration on Ray, and keep, show and export what was found.

`command.py` is the program `fame`. The commands are `sweep.py` and `compare.py`, and `python -m tuning.report`, `tuning.dashboards` and `tuning.registry`.

Imports run one way between the folders. Each line may import from the lines below it:

    driver                                     runs a sweep
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

from fame.interrupts import on_the_way

on_the_way()
