"""Published figures of test NDCG@10: leave-one-out, ranked among all items.

From Table 2 of the FAME paper (WSDM 2025, arXiv 2411.01457), where not said otherwise. Its baselines were run by its
authors, each from its own code. BSARec's are means of five seeds by RecBoard, which leaves items of the history out.
"""

from __future__ import annotations

FAME_PAPER = "FAME, Table 2"
RECBOARD = "RecBoard"

NDCG10: dict[str, dict[str, tuple[float, str]]] = {
    "beauty": {
        "gru4rec": (0.0342, FAME_PAPER),
        "sasrec": (0.0400, FAME_PAPER),
        "bert4rec": (0.0419, FAME_PAPER),
        "core": (0.0271, FAME_PAPER),
        "cl4srec": (0.0521, FAME_PAPER),
        "iclrec": (0.0562, FAME_PAPER),
        "duorec": (0.0424, FAME_PAPER),
        "atten_mixer": (0.0421, FAME_PAPER),
        "msgifsr": (0.0429, FAME_PAPER),
        "miasrec": (0.0449, FAME_PAPER),
        "fame": (0.0593, FAME_PAPER),
        "bsarec": (0.0610, RECBOARD),
    },
    "sports": {
        "sasrec": (0.0205, FAME_PAPER),
        "iclrec": (0.0317, FAME_PAPER),
        "fame": (0.0337, FAME_PAPER),
        "bsarec": (0.0348, RECBOARD),
    },
    "toys": {
        "sasrec": (0.0389, FAME_PAPER),
        "iclrec": (0.0660, FAME_PAPER),
        "fame": (0.0681, FAME_PAPER),
        "bsarec": (0.0663, RECBOARD),
    },
}


def published(dataset: str, model: str) -> tuple[float, str] | None:
    """Test NDCG@10 and who reports it: of a model that nobody else has, the best of all; None where nothing is cited."""
    known = NDCG10.get(dataset, {})
    if model in known or not known:
        return known.get(model)
    best, source = max(known.items(), key=lambda item: item[1][0])[1]
    return best, f"the best, {source}"
