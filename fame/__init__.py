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

from typing import TYPE_CHECKING

from fame import interrupts
from fame.names import imported_when_used

if TYPE_CHECKING:
    from fame.datasets import Dataset
    from fame.errors import DivergedError, UserError
    from fame.library.fitting import fit
    from fame.library.model import Model, load

__version__ = "0.2.0"
__all__ = ["Dataset", "DivergedError", "Model", "UserError", "fit", "load"]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "Dataset": "fame.datasets",
        "DivergedError": "fame.errors",
        "Model": "fame.library.model",
        "UserError": "fame.errors",
        "fit": "fame.library.fitting",
        "load": "fame.library.model",
    },
)

interrupts.on_the_way()
