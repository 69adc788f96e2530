"""Where each user's validation and test part begin, and what a split leaves to be known.

Letters: P interactions in order of user, part and time; U users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fame.config import SplitConfig
from fame.datasets.sequences import PARTS, Part, Sequences, known_items
from fame.errors import UserError
from fame.tables.times import TimeParser


def ends_of_last(offsets: np.ndarray, split: SplitConfig) -> tuple[np.ndarray, np.ndarray]:
    """Where validation and test begin, [U] each, when the last items of each user are held out."""
    test = offsets[1:] - int(split.test or 0)
    return test - int(split.validation or 0), test


def ends_of_parts(offsets: np.ndarray, parts_P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where validation and test begin, [U] each, when each interaction has its part (0, 1 or 2)."""
    before = [np.concatenate([[0], np.cumsum(parts_P < part)]) for part in (1, 2)]
    validation, test = (offsets[:-1] + np.diff(count[offsets]) for count in before)
    return validation, test


def bounds_by_time(
    ordered_P: np.ndarray, split: SplitConfig, parser: TimeParser
) -> tuple[tuple[Any, Any], dict[str, str]]:
    """The times when validation and test begin, of all times in order; and the same for a person.

    Raises `UserError` if a part would be empty.
    """
    validation, test = (_bound(split, part, ordered_P, parser) for part in PARTS)
    places = [0, *np.searchsorted(ordered_P, sorted((validation, test))), len(ordered_P)]
    counts = np.diff(places)
    if validation >= test or not counts.all():
        shown = [parser.shown(time) for time in (validation, test, ordered_P[0], ordered_P[-1])]
        raise UserError(
            f"data.split: validation from {shown[0]} and test from {shown[1]} leave {counts[0]:,}, {counts[1]:,} and "
            f"{counts[2]:,} interactions for training, validation and test; the data reach from {shown[2]} to {shown[3]}"
        )
    return (validation, test), {
        part: parser.shown(bound) for part, bound in zip(PARTS, (validation, test), strict=True)
    }


def parts_by_time(times_P: np.ndarray, bounds: tuple[Any, Any]) -> np.ndarray:
    """The part of each interaction. Interactions of the same time are in the same part."""
    return (times_P >= bounds[0]).astype(np.int8) + (times_P >= bounds[1])


def _bound(split: SplitConfig, part: Part, ordered_P: np.ndarray, parser: TimeParser) -> Any:
    """The time when a part begins."""
    value = getattr(split, part)
    if isinstance(value, str):
        return parser.moment(value, f"data.split.{part}")
    if value >= 1:
        return ordered_P.dtype.type(value)
    share = value
    if part == "validation" and isinstance(split.test, float) and split.test < 1:
        share += split.test
    elif part == "validation":
        share = 1 - (1 - value) * float((ordered_P < _bound(split, "test", ordered_P, parser)).mean())
    return ordered_P[min(len(ordered_P) - 1, int(len(ordered_P) * (1 - share)))]


def split_statistics(sequences: Sequences, split: SplitConfig, begins: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures of each part of a split. `begins`: when the parts begin, where times divide them."""
    known = sequences.known("validation")
    found: dict[str, Any] = {"by": str(split), "training": {"interactions": int(known.sum())}}
    for part in PARTS:
        starts = sequences.history_ends(part)
        ends = sequences.test if part == "validation" else sequences.offsets[1:]
        before = known_items(sequences, part)
        within = ~sequences.known(part)
        if part == "validation":
            within &= sequences.known("test")
        items = sequences.values[within]
        found[part] = {
            **({"from": begins[part]} if part in begins else {}),
            "interactions": len(items),
            "users": int((ends > starts).sum()),
            "users_without_history": int(((ends > starts) & (starts == sequences.offsets[:-1])).sum()),
            "new_items": len(np.unique(items[~before[items]])),
            "interactions_with_new_items": int((~before[items]).sum()),
        }
    return found


def split_notes(name: str, found: Mapping[str, Any]) -> list[str]:
    """Return `split_statistics` as lines."""
    lines = [f"{name}: split by {found['by']}: {found['training']['interactions']:,} interactions for training"]
    for part in PARTS:
        one = found[part]
        if not one["interactions"]:
            continue
        since = f" from {one['from']}" if "from" in one else ""
        lines.append(
            f"{name}: {part}{since}: {one['interactions']:,} interactions of {one['users']:,} users; "
            f"{one['users_without_history']:,} of the users have no history and are not evaluated; {one['new_items']:,} items "
            f"({one['interactions_with_new_items']:,} interactions) do not occur before"
        )
    return lines
