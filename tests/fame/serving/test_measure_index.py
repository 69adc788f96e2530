"""An index is worth its place for queries of users."""

from __future__ import annotations

import torch

from fame.config.tree import experiment_from_dict
from fame.models.fame import Fame
from fame.serving import measure_index as measure
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.recommender import Recommender


def test_queries_are_those_of_users_of_the_dataset() -> None:
    settings = experiment_from_dict(
        {"model": {"name": "fame", "dim": 16}, "data": {"name": "synthetic", "size": {"users": 60, "items": 50}}}
    )
    from fame.datasets import load_dataset

    dataset = load_dataset(settings.data)
    count = dataset.sequences.item_count
    model = Fame(settings.model, count, settings.data.max_length).eval()
    ids = list(range(1, count + 1))
    one = ExportedModel(model=model, experiment=settings, catalogue=Catalogue(ids=ids, titles=[""] * count, counts=ids))
    with torch.no_grad():
        queries_BD = measure.queries_of_users(one)
        all_BD, _ = Recommender(one).queries([row.tolist() for row in dataset.sequences])
    ours, theirs = (rows[rows[:, 0].argsort()] for rows in (queries_BD, all_BD))
    torch.testing.assert_close(ours, theirs)
