"""Optuna's plots without the libraries that they only look for.

`optuna.importance` and `optuna.visualization` import scikit-learn and matplotlib where these are installed, and MLflow
brings both. The report's plots use neither. They are 110 MiB and 1.4 CPU seconds of the process that writes reports.

Assumption: Optuna (5.0) takes a module that cannot be imported as one that is not installed (`optuna._imports.try_import`).
"""

from __future__ import annotations

import importlib
import sys

UNUSED = ("sklearn", "matplotlib")
"""Modules that Optuna looks for, and the report's plots do not use."""


def import_plots() -> None:
    """Import Optuna's plots as if `UNUSED` were not installed. Afterwards these can be imported as always.

    In this process Optuna's fANOVA and its plots by matplotlib then say that their library is missing. So this is for a
    process that does nothing but run a sweep or write its report. It has no effect on what is imported already.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is "not to be found" for Python
    try:
        for name in ("optuna.importance", "optuna.visualization"):
            importlib.import_module(name)
    finally:
        for name in hidden:
            del sys.modules[name]
