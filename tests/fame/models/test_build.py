"""A model is built from an experiment and its weights."""

from __future__ import annotations

import pytest

from fame.models.build import build_model
from fame.models.fame import Fame
from tests.fame.helpers import experiment, same_tensors


def test_the_model_has_the_weights_and_is_in_evaluation_mode() -> None:
    settings = experiment()
    trained = Fame(settings.model, 9, settings.data.max_length)
    built = build_model(settings, 9, trained.state_dict())
    assert same_tensors(built.state_dict(), trained.state_dict()) and not built.training
    with pytest.raises(RuntimeError, match="size mismatch"):
        build_model(settings, 8, trained.state_dict())
