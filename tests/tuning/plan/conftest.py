"""A file with a small space."""

from __future__ import annotations

import pytest

from fame.config.tree import write_yaml
from tests.tuning.plan.plans import SPACE


@pytest.fixture
def space(tmp_path):
    """Writes a space file, `SPACE` with sections replaced, and returns its path."""

    def write(**sections) -> str:
        path = tmp_path / "my.yaml"
        path.write_text(write_yaml({**SPACE, **sections}))
        return str(path)

    return write
