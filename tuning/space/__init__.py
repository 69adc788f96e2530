"""The search space: which settings of an experiment are searched, in which ranges, under which conditions.

    domains.py   choices, ranges, conditions and constraints
    space.py     the space and its points
    models.py    several models in one space
    file.py      reads a space from YAML
    check.py     checks a space that was read

Outside code imports `Space` and functions of points from here, readers from `file`, and parameter types from `domains`.
"""

from tuning.space.space import Space, plain, settings_at

__all__ = ["Space", "plain", "settings_at"]
