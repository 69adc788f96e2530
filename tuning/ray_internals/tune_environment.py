"""Environment variables that Tune hands to trials.

Assumption: `_ActorClassCache` gives every trial a runtime environment of the variables in `DEFAULT_ENV_VARS`, and of the
driver's variables that are named in `ENV_VARS_TO_PROPAGATE`. Without any, a trial's actor may run in a process that Ray has
started in advance.
"""

from __future__ import annotations

from ray.tune.execution import class_cache

_DEFAULT, _PROPAGATED = dict(class_cache.DEFAULT_ENV_VARS), frozenset(class_cache.ENV_VARS_TO_PROPAGATE)


def hand_to_trials(this_machine: bool) -> None:
    """Choose what trials get of the driver's variables: none on this machine, whose Ray has inherited them all.

    Elsewhere they get those that Tune hands over, but no AWS credentials, since Ray writes a runtime environment into its
    logs. Every node has credentials of its own.
    """
    class_cache.DEFAULT_ENV_VARS = {} if this_machine else dict(_DEFAULT)
    names = () if this_machine else (name for name in _PROPAGATED if not name.startswith("AWS_"))
    class_cache.ENV_VARS_TO_PROPAGATE = set(names)
