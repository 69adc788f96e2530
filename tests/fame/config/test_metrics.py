"""Names of metrics are a kind and a k."""

from __future__ import annotations

import pytest

from fame.config.metrics import ACCURACY, split
from fame.errors import UserError


@pytest.mark.parametrize("kind", ACCURACY)
def test_a_name_is_split(kind: str) -> None:
    assert split(f"{kind}@20") == (kind, 20)


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "ndcg@²", "coverage@10", "@10"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="must be KIND@K"):
        split(name)
