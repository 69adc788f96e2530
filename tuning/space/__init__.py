"""The search space: which settings of an experiment are searched, in which ranges, under which conditions.

    domains.py   choices, ranges, conditions and constraints
    space.py     the space and its points
    file.py      reads a space from YAML
    check.py     checks a space that was read

Outside code imports `Space` and `flatten` from here, readers from `file`, and parameter types from `domains`.
"""

from tuning.space.space import Space, flatten

__all__ = ["Space", "flatten"]
