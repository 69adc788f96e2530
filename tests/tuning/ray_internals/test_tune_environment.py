"""Tests of the assumptions of `tuning.ray_internals.tune_environment` about Ray."""

from __future__ import annotations

import pytest
from ray.tune.execution import class_cache

from tuning.ray_internals.tune_environment import withhold_credentials


def test_tune_would_hand_credentials_to_trials_and_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(class_cache.ENV_VARS_TO_PROPAGATE)
    assert any(name.startswith("AWS_") for name in names)
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set(names))
    withhold_credentials()
    assert {name for name in names if not name.startswith("AWS_")} == class_cache.ENV_VARS_TO_PROPAGATE
