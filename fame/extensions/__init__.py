"""Models and datasets of your own, a file each: what lies here is imported when a name is looked up.

Nothing else has to be edited; `docs/EXTENDING.md` has a model and a dataset to copy. The files go wherever the package
goes: to the workers of a cluster, and into a registered model.
"""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
