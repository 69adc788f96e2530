"""Generated interactions with facets that are known: the paper's Figure 1 at any size.

Every item has one label in each of F facets. One facet drives each user, and a user prefers several labels in each
facet. The next item is drawn among those with a preferred label of the driving facet. In `noise` per cent of the cases
it is drawn among all items. So a model that finds the facet can predict, and `truth` tells whether it found the right
one. Users do not repeat items.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fame.config import DataConfig
from fame.datasets.entry import Chunk, ItemTable, Raw, Report, Source
from fame.errors import UserError, nearest

VERSION = 1
"""To be raised when the same size generates other data."""
DEFAULT_SIZE = {
    "users": 600,
    "items": 400,
    "facets": 2,
    "labels": 8,
    "preferences": 2,
    "length": 20,
    "noise": 10,
    "seed": 0,
}
LOWEST = {"users": 1, "items": 3, "facets": 1, "labels": 1, "preferences": 1, "length": 3, "noise": 0, "seed": 0}
HIGHEST = {"facets": 64, "labels": 100_000, "noise": 100}
SPARE_DRAWS = 2
"""Draws for each interaction wanted; those that would repeat an item are left out."""
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth that the data was generated from. Row i belongs to the item or user with id i + 1."""

    item_labels: np.ndarray
    """[items, facets], label 0, 1, …; named `label_word(facet, label)` in the column `facet_<f>`."""
    user_facets: np.ndarray
    """[users], the facet that drives each user."""
    user_preferences: np.ndarray
    """[users, facets, preferences], preferred labels."""


def complete_size(size: dict[str, int] | None) -> dict[str, int]:
    """All sizes, checked. Raises `UserError`."""
    for key, value in (size or {}).items():
        if key not in DEFAULT_SIZE:
            raise UserError(f"unknown size 'data.size.{key}': {nearest(key, DEFAULT_SIZE)}")
        if value < LOWEST[key]:
            raise UserError(f"data.size.{key} = {value}: must be at least {LOWEST[key]}")
        if value > HIGHEST.get(key, value):
            raise UserError(f"data.size.{key} = {value}: must be at most {HIGHEST[key]}")
    full = {**DEFAULT_SIZE, **(size or {})}
    if full["preferences"] > full["labels"]:
        raise UserError(f"data.size.preferences = {full['preferences']}: must be at most labels = {full['labels']}")
    return full


def truth(size: dict[str, int] | None = None) -> Truth:
    """The ground truth of the dataset of this size (and seed)."""
    size = complete_size(size)
    users, facets, labels = size["users"], size["facets"], size["labels"]
    random = np.random.default_rng([size["seed"], 0])
    # the first labels of a random order of all of them: distinct
    order = np.argsort(random.random((users, facets, labels), dtype=np.float32), axis=-1)
    return Truth(
        item_labels=random.integers(labels, size=(size["items"], facets)),
        user_facets=random.integers(facets, size=users),
        user_preferences=order[:, :, : size["preferences"]].copy(),
    )


def label_word(facet: int, label: int) -> str:
    """Name of a label: a made-up word, different for every facet and label."""
    number, word = facet * 100_003 + label, ""
    for _ in range(4):
        number, syllable = divmod(number, len(_SYLLABLES))
        word = _SYLLABLES[syllable] + word
    return word


def interactions(size: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Users and items, as 0-based rows, in order of user and time. `size` is complete."""
    known = truth(size)
    random = np.random.default_rng([size["seed"], 1])
    lengths = np.maximum(random.poisson(size["length"], size["users"]), 3)
    lengths = np.minimum(lengths, max(3, size["items"]))
    draws = lengths * SPARE_DRAWS + 3
    users = np.repeat(np.arange(size["users"]), draws)
    drawn = len(users)
    facets = known.user_facets[users]
    labels = known.user_preferences[users, facets, random.integers(size["preferences"], size=drawn)]
    # the square of a uniform number favours the first of a group: some items are popular
    skewed = random.random(drawn) ** 2
    items = np.empty(drawn, np.int64)
    for facet in range(size["facets"]):
        shuffled = random.permutation(size["items"])
        group = shuffled[np.argsort(known.item_labels[shuffled, facet], kind="stable")]
        counts = np.bincount(known.item_labels[:, facet], minlength=size["labels"])
        begins = np.cumsum(counts) - counts
        rows = np.flatnonzero(facets == facet)
        wanted = labels[rows]
        places = begins[wanted] + (skewed[rows] * counts[wanted]).astype(np.int64)
        items[rows] = group[np.minimum(places, size["items"] - 1)]
    # the last three are different items whatever happens: nobody ends up with fewer than a split needs
    last_three = np.cumsum(draws)[:, None] - [3, 2, 1]
    items[last_three] = (random.integers(size["items"], size=(size["users"], 1)) + np.arange(3)) % size["items"]
    noisy = random.random(drawn) * 100 < size["noise"]
    noisy[last_three] = False
    items[noisy] = random.integers(size["items"], size=int(noisy.sum()))
    return _first_without_repeats(users, items, lengths, size["items"])


def _first_without_repeats(
    users: np.ndarray, items: np.ndarray, lengths: np.ndarray, item_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first `lengths[u]` different items of each user."""
    _, first = np.unique(users * item_count + items, return_index=True)
    first.sort()
    users, items = users[first], items[first]
    counts = np.bincount(users, minlength=len(lengths))
    rank = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = rank < lengths[users]
    return users[keep], items[keep]


def item_table(size: dict[str, int]) -> ItemTable:
    """Text and labels of all items. `size` is complete."""
    labels = truth(size).item_labels
    words = np.array(
        [[label_word(facet, label) for label in range(size["labels"])] for facet in range(size["facets"])], dtype=object
    )
    columns = {f"facet_{facet}": words[facet][labels[:, facet]].tolist() for facet in range(size["facets"])}
    titles = [f"{first.capitalize()} {number}" for number, first in enumerate(columns["facet_0"], 1)]
    texts = ["a " + " and ".join(row) + " item" for row in zip(*columns.values(), strict=True)]
    ids = [str(number) for number in range(1, size["items"] + 1)]
    return ItemTable(ids=ids, columns={"title": titles, "text": texts, **columns})


class Generated:
    """Origin of the generated dataset."""

    def resolve(self, config: DataConfig) -> DataConfig:
        if config.dir is not None:
            raise UserError(f"data.dir = {config.dir!r}: {config.name} is generated and read from nowhere; remove it")
        return dataclasses.replace(config, size=complete_size(config.size))

    def locate(self, name: str, config: DataConfig, report: Report) -> Source:
        size = config.size
        assert size is not None

        def chunks(with_rating: bool) -> Iterator[Chunk]:
            if with_rating:
                raise UserError(f"data.min_rating needs ratings, and {name} has none; use 0")
            users, items = interactions(size)
            yield Chunk(user=users + 1, item=items + 1, time=np.arange(len(users)), ordered=True)

        return Source(
            description=f"generated, {', '.join(f'{key} {value}' for key, value in size.items())}",
            identity=["generated", VERSION, size],
            read=lambda: Raw(interactions=[chunks], items=lambda: item_table(size), whole_catalogue=True),
        )
