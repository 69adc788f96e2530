"""FAME: facet-aware multi-head mixture-of-experts for sequential recommendation, and seventeen other recommenders.

From a data frame to recommendations:

    import fame

    data = fame.Dataset.from_pandas(clicks, user="customer", item="sku", time="when", items=products, title="Product Name")
    model = fame.fit(data, model="fame", epochs=12)
    model.evaluate()                              # metrics on validation and test
    model.recommend(users=data.users, k=10)       # user, rank, item, title, score
    model.save("shop")
    model = fame.load("shop")

`tuning.tune` searches the best settings. docs/PYTHON.md explains both, docs/SETTINGS.md lists the settings.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fame import interrupts

if TYPE_CHECKING:
    from fame.datasets import Dataset
    from fame.errors import DivergedError, UserError
    from fame.library.fitting import fit
    from fame.library.model import Model, load

__version__ = "0.2.0"
__all__ = ["Dataset", "DivergedError", "Model", "UserError", "fit", "load"]

_HOMES = {
    "Dataset": "fame.datasets",
    "DivergedError": "fame.errors",
    "Model": "fame.library.model",
    "UserError": "fame.errors",
    "fit": "fame.library.fitting",
    "load": "fame.library.model",
}
"""The module of each public name. It is imported when the name is first used, so that `import fame` takes no time."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


interrupts.on_the_way()
