"""Tune says nothing of its own, but a disk that is full is a line."""

from __future__ import annotations

import errno
import logging
import os
from unittest import mock

import pytest

from tuning.driver.tune_settings import quieten_tune


def test_tune_is_quiet_and_a_full_disk_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ray.tune.execution.experiment_state")
    with mock.patch.dict(os.environ):
        quieten_tune()
        assert os.environ["RAY_CHDIR_TO_TRIAL_DIR"] == "0"
    assert not logging.getLogger("ray.tune").isEnabledFor(logging.WARNING)
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        logger.exception("Experiment state snapshotting failed")
    error = capsys.readouterr().err
    assert error == "cannot save Tune's state (no space left on the device): what it saved before stays\n"
