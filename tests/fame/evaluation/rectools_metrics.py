"""Writes `rectools_metrics.json`: metrics of RecTools on random rankings, which `test_evaluator_rectools.py` compares with.

RecTools 0.19.0 needs pandas below 3, so it has an environment of its own:

    python -m venv /tmp/rectools && /tmp/rectools/bin/pip install rectools==0.19.0
    /tmp/rectools/bin/python tests/fame/evaluation/rectools_metrics.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

CUTOFFS = (1, 3, 5, 10, 20)
USERS, ITEMS = 60, 40
FIXTURE = Path(__file__).with_suffix(".json")


def case(most_targets: int, seed: int) -> dict[str, Any]:
    """Histories, targets and labels; `scores[i]` are those of all items for a user whose last item is i. Items count from 1."""
    draw = random.Random(seed)
    users = []
    for _ in range(USERS):
        items = draw.sample(range(1, ITEMS + 1), draw.randint(3, 12) + most_targets)
        count = draw.randint(1, most_targets)
        users.append({"history": items[count:], "targets": items[:count]})
    scores = [draw.sample(range(ITEMS), ITEMS) for _ in range(ITEMS + 1)]
    labels = [sorted(draw.sample("abcdefg", draw.randint(1, 3))) for _ in range(ITEMS)]
    return {"users": users, "scores": scores, "labels": labels}


def metrics(given: dict[str, Any]) -> dict[str, float]:
    """RecTools' metrics of the best items that are not in the history."""
    import numpy as np
    import pandas as pd
    from rectools import Columns
    from rectools import metrics as theirs
    from rectools.metrics.distances import PairwiseDistanceCalculator

    reco, interactions, before = [], [], []
    for user, one in enumerate(given["users"]):
        scores = given["scores"][one["history"][-1]]
        left = [item for item in range(1, ITEMS + 1) if item not in one["history"]]
        ranked = sorted(left, key=lambda item: -scores[item - 1])
        reco += [(user, item, place) for place, item in enumerate(ranked[: max(CUTOFFS)], start=1)]
        interactions += [(user, item) for item in one["targets"]]
        before += [(user, item) for item in one["history"]]

    class Cosine(PairwiseDistanceCalculator):
        def _get_distances_for_item_pairs(self, items_0: Any, items_1: Any) -> Any:
            sets = [set(labels) for labels in given["labels"]]
            pairs = [(sets[i - 1], sets[j - 1]) for i, j in zip(items_0, items_1, strict=True)]
            return np.array([1 - len(a & b) / (len(a) * len(b)) ** 0.5 for a, b in pairs])

    found = theirs.calc_metrics(
        {
            f"{name}@{k}": metric
            for k in CUTOFFS
            for name, metric in {
                "hr": theirs.HitRate(k),
                "ndcg": theirs.NDCG(k, divide_by_achievable=True),
                "recall": theirs.Recall(k),
                "precision": theirs.Precision(k),
                "mrr": theirs.MRR(k),
                "map": theirs.MAP(k),
                "coverage": theirs.CatalogCoverage(k, normalize=True),
                "novelty": theirs.MeanInvUserFreq(k),
                "popularity": theirs.AvgRecPopularity(k),
                "diversity": theirs.IntraListDiversity(k, Cosine()),
            }.items()
        },
        reco=pd.DataFrame(reco, columns=[Columns.User, Columns.Item, Columns.Rank]),
        interactions=pd.DataFrame(interactions, columns=Columns.UserItem),
        prev_interactions=pd.DataFrame(before, columns=Columns.UserItem),
        catalog=list(range(1, ITEMS + 1)),
    )
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    made = {name: case(*settings) for name, settings in {"one target": (1, 0), "several targets": (7, 1)}.items()}
    content = {name: {"case": given, "metrics": metrics(given)} for name, given in made.items()}
    FIXTURE.write_text(json.dumps({"rectools": "0.19.0", "cases": content}) + "\n", encoding="utf-8")
