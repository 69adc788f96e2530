"""The search: Optuna proposes points, and its study receives the results.

    study_search.py   the search algorithm that Ray Tune calls
    sampler.py        the proposals, restricted to allowed points that were not tried yet
    examples.py       the trials that a sampler learns from, in a study of many

Outside code imports `SAMPLERS` from here, and `StudySearch` from `study_search`.
"""

SAMPLERS = ("tpe", "gp", "random", "grid")
"""Ways to propose a point: tree-structured Parzen estimator, Gaussian process, at random, every point."""
