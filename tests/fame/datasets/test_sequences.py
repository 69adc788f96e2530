"""Windows against loops over users and positions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.datasets.sequences import Sequences, Windows, evaluation_windows, target_counts, training_windows
from tests.fame.helpers import jagged, sequences_of


def training_pairs(sequences: Sequences) -> dict[int, list[int]]:
    """For the place in `values` of each item that training may predict: the whole history before it."""
    pairs = {}
    for user in range(len(sequences)):
        items = sequences[user].tolist()
        for n in range(1, len(items) - 2):
            pairs[int(sequences.offsets[user]) + n] = items[:n]
    return pairs


def read(sequences: Sequences, windows: Windows) -> list[tuple[list[int], int]]:
    """Return the items that each window reads, and the place of its last target."""
    ends = windows.starts + windows.lengths
    return [(sequences.values[a:b].tolist(), int(b)) for a, b in zip(windows.starts, ends, strict=True)]


@given(jagged(), st.integers(1, 8))
def test_prefix_windows_meet_each_pair_once_with_the_newest_items_of_its_history(sequences, max_length):
    expected = {place: history[-max_length:] for place, history in training_pairs(sequences).items()}
    got = read(sequences, training_windows(sequences, "prefix", max_length))
    assert len(got) == len(expected)
    assert {place: items for items, place in got} == expected


@given(jagged(), st.integers(1, 8), st.integers(1, 5))
def test_windows_of_several_targets_meet_each_pair_once_after_the_newest_items(sequences, max_length, targets):
    expected = training_pairs(sequences)
    met: Counter[int] = Counter()
    windows = training_windows(sequences, "prefix", max_length, targets)
    for (items, end), count in zip(read(sequences, windows), windows.targets, strict=True):
        assert items == expected[end][-max_length:]
        assert 1 <= count <= targets
        met.update(range(end - int(count) + 1, end + 1))
    assert met == Counter(expected.keys())


@given(jagged(), st.integers(1, 8))
def test_all_windows_meet_each_pair_once_and_read_nothing_of_another_user(sequences, max_length):
    expected = training_pairs(sequences)
    met: Counter[int] = Counter()
    for items, end in read(sequences, training_windows(sequences, "all", max_length)):
        assert 1 <= len(items) <= max_length
        for n in range(1, len(items) + 1):
            place = end - len(items) + n
            met[place] += 1
            assert expected[place][-n:] == items[:n]
    assert met == Counter(expected.keys())


@given(jagged(), st.integers(1, 8))
def test_all_windows_are_as_few_as_possible_and_only_the_oldest_of_a_user_is_not_full(sequences, max_length):
    windows = training_windows(sequences, "all", max_length)
    for user in range(len(sequences)):
        pairs = len(sequences[user]) - 3
        inside = (windows.starts >= sequences.offsets[user]) & (windows.starts < sequences.offsets[user + 1])
        lengths = windows.lengths[inside][np.argsort(windows.starts[inside])].tolist()
        full, rest = divmod(pairs, max_length)
        assert lengths == [rest] * (rest > 0) + [max_length] * full


@pytest.mark.parametrize("part", ["validation", "test"])
@given(sequences=jagged(), max_length=st.integers(1, 20))
def test_evaluation_windows_are_the_newest_items_before_the_held_out_one(part, sequences, max_length):
    windows = evaluation_windows(sequences, part, max_length)
    assert len(windows) == len(sequences)
    for user, (items, place) in enumerate(read(sequences, windows)):
        whole = sequences[user].tolist()
        held_out = -1 if part == "test" else -2
        assert items == whole[:held_out][-max_length:]
        assert place == sequences.offsets[user + 1] + held_out


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_users_with_three_items_have_nothing_to_train_on(mode):
    assert len(training_windows(sequences_of([[1, 2, 3], [3, 2, 1]]), mode, 5)) == 0


def test_a_user_is_the_stretch_between_its_offsets():
    sequences = sequences_of([[1, 2, 3], [4, 5, 6, 7]])
    assert len(sequences) == 2
    assert sequences[1].tolist() == [4, 5, 6, 7]
    assert sequences.lengths.tolist() == [3, 4]


@given(jagged())
def test_target_counts_are_those_of_the_training_pairs(sequences):
    counts = Counter(int(sequences.values[place]) for place in training_pairs(sequences))
    assert target_counts(sequences).tolist() == [counts[item] for item in range(1, sequences.item_count + 1)]
