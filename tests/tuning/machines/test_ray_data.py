"""Work on a cluster by Ray Data; `tests/tuning/machines/test_preparing.py` does it on two machines."""

from __future__ import annotations

import pytest
import ray

from fame.errors import UserError
from tuning.machines.ray_data import connected


def test_a_cluster_that_does_not_answer_is_one_line_and_nothing_stays_connected():
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1"), connected("127.0.0.1:1"):
        raise AssertionError("there is no such cluster")
    assert not ray.is_initialized()
