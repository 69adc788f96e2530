"""The generated data has the facets that it says it has."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fame.config import DataConfig
from fame.datasets import load_dataset, synthetic
from fame.errors import UserError


def load(**size: int):
    return load_dataset(DataConfig(name="synthetic", size=size or None), report=lambda line: None)


def share_of_preferred(dataset, facet_of_user) -> float:
    """Share of interactions with an item of a preferred label in the facet that is given for each user."""
    truth = synthetic.truth(dataset.config.size)
    users = np.repeat(dataset.user_ids - 1, dataset.sequences.lengths)
    items = dataset.items.ids[dataset.sequences.values - 1] - 1
    facets = facet_of_user(truth)[users]
    preferred = truth.user_preferences[users, facets]
    return float((preferred == truth.item_labels[items, facets][:, None]).any(axis=1).mean())


def test_users_follow_their_driving_facet():
    dataset = load(noise=10)
    driving = share_of_preferred(dataset, lambda truth: truth.user_facets)
    other = share_of_preferred(dataset, lambda truth: 1 - truth.user_facets)
    # noise hits a preferred label by chance in 2 of 8 cases
    assert driving == pytest.approx(0.9 + 0.1 * 0.25, abs=0.02)
    assert other == pytest.approx(0.25, abs=0.05)
    assert share_of_preferred(load(noise=0), lambda truth: truth.user_facets) == 1.0


def test_columns_tell_the_truth():
    dataset = load(facets=3, labels=4)
    truth = synthetic.truth(dataset.config.size)
    assert dataset.facets == ("facet_0", "facet_1", "facet_2")
    for facet in range(3):
        words = [synthetic.label_word(facet, label) for label in truth.item_labels[dataset.items.ids - 1, facet]]
        assert list(dataset.items.columns[f"facet_{facet}"]) == words
        assert all(word in text for word, text in zip(words, dataset.items.columns["text"], strict=True))
    distinct = np.sort(truth.user_preferences, axis=-1)
    assert (np.diff(distinct, axis=-1) > 0).all()


def test_the_seed_decides_everything():
    assert load().fingerprint == load(seed=0).fingerprint != load(seed=1).fingerprint
    assert load().config.size == synthetic.DEFAULT_SIZE


def test_users_do_not_repeat_items_and_have_about_the_length_asked_for():
    dataset = load(users=200, items=300, length=12)
    assert all(len(set(s.tolist())) == len(s) for s in (dataset.sequences[u] for u in range(len(dataset.sequences))))
    assert dataset.statistics["average_length"] == pytest.approx(12, rel=0.1)


def test_the_catalogue_is_whole():
    dataset = load(users=3, items=5_000)
    assert dataset.sequences.item_count == len(dataset.items) == 5_000


@pytest.mark.parametrize(
    "size", [{"items": 3, "labels": 40}, {"users": 1, "items": 3}, {"labels": 1, "preferences": 1}]
)
def test_tiny_sizes(size):
    assert load(**size).statistics["users"] >= 1


def test_a_million_items_in_seconds():
    size = synthetic.complete_size({"users": 20_000, "items": 1_000_000})
    began = time.perf_counter()
    users, items = synthetic.interactions(size)
    assert time.perf_counter() - began < 15
    assert users.max() == 19_999
    assert 300_000 < len(items) < 500_000


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"user": 3}, "unknown size 'data.size.user': did you mean 'users'"),
        ({"users": 0}, "data.size.users = 0: must be at least 1"),
        ({"preferences": 9}, "must be at most labels = 8"),
        ({"noise": 101}, "must be at most 100"),
    ],
)
def test_impossible_sizes(size, words):
    with pytest.raises(UserError, match=words):
        load(**size)


def test_no_ratings():
    with pytest.raises(UserError, match=r"data.min_rating needs ratings, and synthetic has none"):
        load_dataset(DataConfig(name="synthetic", min_rating=1.0), report=lambda line: None)
