"""A shop's customers and what they bought."""

from __future__ import annotations

CUSTOMERS = {f"c{user:02d}": [f"SKU-{(user + step) % 12}" for step in range(5 + user % 4)] for user in range(20)}


SMALL = {"epochs": 2, "dim": 8, "heads": 2, "experts": 2, "precision": "float32"}
