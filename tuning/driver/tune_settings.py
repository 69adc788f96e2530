"""Settings that Tune takes from environment variables and loggers only."""

from __future__ import annotations

import logging
import os

from tuning.faults import disk


def quieten_tune() -> None:
    """Silence Tune's messages, which are for authors of trainables. `tuning.terminal` reports failed trials."""
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
    os.environ["RAY_IGNORE_UNHANDLED_ERRORS"] = "1"  # of trials that raise while the sweep is stopping
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # a folder for each trial on each node, which nobody would remove
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # no CSV and TensorBoard files beside MLflow
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    for module in ("tune", "execution.tune_controller"):  # "trials did not complete", "failed to restore"
        logging.getLogger(f"ray.tune.{module}").setLevel(logging.CRITICAL)
    for name in ("ray.tune.execution.experiment_state", "ray.train._internal.storage"):
        logging.getLogger(name).addFilter(disk.in_a_line)
