"""An entry completes a configuration from its recipe."""

from __future__ import annotations

from fame.config import DataConfig
from fame.registry import datasets


def test_the_papers_recipe_keeps_what_is_set():
    config = datasets.get("ml-20m").resolve(DataConfig(name="ml-20m", core=2))
    assert (config.min_rating, config.core, config.min_history, config.max_history) == (4.5, 2, 4, 51)
