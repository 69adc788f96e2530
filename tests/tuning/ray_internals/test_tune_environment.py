"""Tests of the assumptions of `tuning.ray_internals.tune_environment` about Ray."""

from __future__ import annotations

import pytest
from ray.tune.execution import class_cache

from tuning.ray_internals.tune_environment import hand_to_trials

CREDENTIAL, SETTING = "AWS_SECRET_ACCESS_KEY", "RAY_CHDIR_TO_TRIAL_DIR"


class Anything:
    pass


def handed_over() -> dict[str, str]:
    """Return the variables that Tune would give to a trial now."""
    actor = class_cache._ActorClassCache().get(Anything)
    return dict((actor._default_options["runtime_env"] or {}).get("env_vars", {}))


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEFAULT_ENV_VARS", "ENV_VARS_TO_PROPAGATE"):
        monkeypatch.setattr(class_cache, name, getattr(class_cache, name))
    monkeypatch.setenv(CREDENTIAL, "secret")
    monkeypatch.setenv(SETTING, "0")


def test_trials_elsewhere_get_no_credentials() -> None:
    before = handed_over()
    assert before[CREDENTIAL] == "secret"
    hand_to_trials(this_machine=True)
    hand_to_trials(this_machine=False)
    assert handed_over() == {name: value for name, value in before.items() if not name.startswith("AWS_")}


def test_trials_on_this_machine_inherit_everything() -> None:
    assert SETTING in handed_over()
    hand_to_trials(this_machine=True)
    assert handed_over() == {}
