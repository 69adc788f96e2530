"""The check of a refusal that all tests of the settings' rules share."""

from __future__ import annotations

from typing import Any

import pytest

from fame.config.tree import experiment_from_dict
from fame.errors import UserError


def assert_refused(tree: Any, message: str) -> None:
    """A tree is no experiment, and one line says why."""
    with pytest.raises(UserError) as caught:
        experiment_from_dict(tree)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
