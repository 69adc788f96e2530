"""Every registered dataset in each of its published forms, and the exact counts of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.registry import datasets
from tests.fame.datasets.files import load_named

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.parametrize("name", datasets.names())
def test_every_entry_is_complete(name):
    entry = datasets.get(name)
    config = entry.resolve(DataConfig(name=name))
    assert config.recipe == next(iter(entry.recipes))
    assert None not in (config.core, config.min_rating, config.repeats)
    assert entry.about
    assert (entry.citation and entry.licence) or name == "synthetic"


COUNTS = {
    "beauty": (22_363, 12_101, 198_502, 204),
    "sports": (35_598, 18_357, 296_337, 296),
    "toys": (19_412, 11_924, 167_597, 550),
    "ml-1m": (6_040, 3_415, 997_364, 2_277),
    "ml-100k": (943, 1_349, 99_287, 648),
    "ml-latest-small": (610, 3_650, 90_274, 2_132),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the real data in {SHARED}")
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_real_data(name):
    dataset = load_named(name, dir=str(SHARED))
    figures = dataset.statistics
    assert (figures["users"], figures["items"], figures["actions"], figures["longest"]) == COUNTS[name]
    paper = datasets.get(name).paper
    if paper:  # already 5-core: nothing may be lost, and items keep their numbers
        assert {step["actions"] for step in figures["steps"]} == {figures["actions"]}
        assert dataset.items.ids.tolist() == list(range(1, figures["items"] + 1))
        assert dataset.user_ids.tolist() == list(range(1, figures["users"] + 1))
        assert paper.actions == figures["actions"]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the real data in {SHARED}")
def test_before_the_core_ml_1m_has_all_its_items():
    assert load_named("ml-1m", dir=str(SHARED), core=1).statistics["items"] == 3_416
