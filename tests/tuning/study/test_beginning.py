"""A new study's start points, and the origin that a continued one must share."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.tuning.search.studies import FINITE, make


def test_another_space_or_metric_is_another_study(tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=r"study.journal is the study of another search space or metric: use another"):
        make(tmp_path, FINITE)
    with pytest.raises(UserError, match="use another --name"):
        make(tmp_path, metric="hr@10")
