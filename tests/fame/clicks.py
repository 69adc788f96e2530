"""Users with what they have clicked, in ids of their own."""

from __future__ import annotations

ITEMS = [f"{number:03d}" for number in range(1, 13)]


USERS = {f"u{user:02d}": [ITEMS[(user + step) % 12] for step in range(5 + user % 4)] for user in range(20)}


USERS["010"] = ITEMS
