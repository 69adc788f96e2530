"""Whether models score as RecBole's do: the same weights, the same histories, the same scores.

`python -m benchmarks.parity --python VENV/bin/python`, VENV as `benchmarks/peers/recbole_epoch.py` says. RecBole draws
the weights and scores random histories in its own environment (`recbole_scores.py`); here the weights are copied
over by name (`weights.py`), and the histories scored again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ITEMS = 300
HISTORIES = 256
LENGTH = 50
"""Longest history."""
DIM, BLOCKS, HEADS, INNER = 64, 2, 2, 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model of RecBole and the settings of ours that are to score alike."""

    recbole: str
    """Its class."""
    recbole_settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any]
    """Our `model` section."""


TRANSFORMER = {"dim": DIM, "blocks": BLOCKS, "heads": HEADS, "inner": INNER, "positions": "absolute"}
CASES = {
    "gru4rec": Case(
        recbole="GRU4Rec",
        recbole_settings={"hidden_size": 128, "num_layers": 2},
        model={"name": "gru4rec", "dim": DIM, "width": 128, "layers": 2},
    ),
    "sasrec": Case(recbole="SASRec", model={"name": "sasrec", **TRANSFORMER}),
    "bert4rec": Case(recbole="BERT4Rec", model={"name": "bert4rec", **TRANSFORMER}),
    "core": Case(recbole="CORE", recbole_settings={"dnn_type": "trm"}, model={"name": "core", **TRANSFORMER}),
    "core_mean": Case(
        recbole="CORE",
        recbole_settings={"dnn_type": "ave"},
        model={"name": "core", "dim": DIM, "weights": "mean"},
    ),
}
