"""Names of the metrics: a kind, and the k of its cutoff, such as `ndcg@10`.

`fame.evaluation.metrics` computes those of accuracy, `fame.evaluation.lists` those of whole lists.
"""

from __future__ import annotations

from fame.errors import UserError

ACCURACY = ("hr", "ndcg", "recall", "precision", "mrr", "map")
"""Metrics of the places of a user's targets. Larger is better."""
LISTS = ("coverage", "novelty", "diversity", "popularity", "gini")
"""Metrics of the lists that users get, whatever their targets are."""


def split(metric: str) -> tuple[str, int]:
    """Return the kind and the k of a metric of accuracy. Raises `UserError` for any other name."""
    kind, _, k = metric.partition("@")
    if kind not in ACCURACY or not (k.isascii() and k.isdigit()) or int(k) < 1:
        raise UserError(
            f"metric '{metric}': must be KIND@K with a whole K of at least 1, such as ndcg@10; kinds are "
            f"{', '.join(ACCURACY)}"
        )
    return kind, int(k)
