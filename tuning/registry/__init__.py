"""MLflow's model registry: exported models under the dataset's name, with the aliases champion and challenger.

    exported.py       reads an exported folder
    register.py       adds a version
    champion.py       decides its alias
    package.py        packs an exported folder as an MLflow model
    served_model.py   answers requests inside MLflow's server
    __main__.py       `python -m tuning.registry --model DIR`

Outside code imports `Exported`, `Registered`, `register` and `register_best` from here.
"""

from tuning.registry.champion import Registered
from tuning.registry.exported import Exported
from tuning.registry.register import register, register_best

__all__ = ["Exported", "Registered", "register", "register_best"]
