"""The final evaluation: the item column that decides the diversity of lists."""

from __future__ import annotations

import numpy as np
import pytest

from fame.config import EvaluateConfig
from fame.datasets.items import Items, TextColumn
from fame.errors import UserError
from fame.evaluation.final import diversity_column


def test_the_column_of_diversity_is_the_one_named_or_a_usual_one():
    text = TextColumn.from_strings(["x", "y"])
    items = Items(ids=np.arange(2), columns={"brand": text, "genres": text, "title": text})
    assert diversity_column(EvaluateConfig(), items) == "genres"
    assert diversity_column(EvaluateConfig(diversity="title"), items) == "title"
    assert diversity_column(EvaluateConfig(diversity="text"), items) == "text"
    assert diversity_column(EvaluateConfig(), Items(ids=np.arange(2), columns={"title": text})) is None
    with pytest.raises(UserError, match=r"evaluate.diversity = 'genre': .* did you mean 'genres'"):
        diversity_column(EvaluateConfig(diversity="genre"), items)
