"""Environment variables that Tune hands to trials.

Assumption: Tune copies the driver's variables named in `ENV_VARS_TO_PROPAGATE` into the trials' runtime environment.
"""

from __future__ import annotations

from ray.tune.execution import class_cache


def withhold_credentials() -> None:
    """Keep AWS credentials out of the trials' runtime environment, which Ray writes into its logs.

    Every node has credentials of its own.
    """
    class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
