"""MLflow's model registry: exported models as `fame-<dataset>`, with the aliases champion and challenger.

    register.py       adds a version and decides its alias
    package.py        packs an exported folder as an MLflow model
    served_model.py   answers requests inside MLflow's server
    __main__.py       `python -m tuning.registry --model DIR`

Outside code imports `Registered`, `register` and `register_best` from here.
"""

from tuning.registry.register import Registered, register, register_best, version_tags

__all__ = ["Registered", "register", "register_best", "version_tags"]
