"""Names for models and datasets: an extension is one class and one `register` line.

When it is first asked, a registry imports the modules that ship with `fame`, and those of `fame.extensions`. So `import
fame.registry` costs nothing, and the order of imports does not matter.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from fame.errors import UserError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to entry.

    Raises `UserError` for an unknown name (with the nearest known one) and `ValueError`
    for a name that is registered twice.
    """

    def __init__(self, kind: str, modules: Sequence[str] = ()) -> None:
        self.kind = kind
        self.modules = list(modules)
        """Modules that are imported when the registry is first asked."""
        self.entries: dict[str, T] = {}
        """The registered objects so far, by name."""

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator (or plain call) that files an entry under `name`."""

        def add(entry: T) -> T:
            if name in self.entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self.entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        self._load_builtin()
        if name not in self.entries:
            raise UserError(f"unknown {self.kind} '{name}': {nearest(name, self.entries)}")
        return self.entries[name]

    def names(self) -> list[str]:
        self._load_builtin()
        return sorted(self.entries)

    def _load_builtin(self) -> None:
        for module in self.modules:
            importlib.import_module(module)
        self.modules.clear()


models: Registry[type[Any]] = Registry(
    "model",
    ["fame.models.sasrec", "fame.models.fame", "fame.models.memory", "fame.models.baselines", "fame.extensions"],
)
datasets: Registry[Any] = Registry("dataset", ["fame.datasets.catalog", "fame.extensions"])
