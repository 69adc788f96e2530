"""Views of sequences against list operations."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.models.baselines.views import crop, mask, reorder
from tests.fame.helpers import random_rows

MASK = 99
rows = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(0, 999))
shares = st.sampled_from([0.05, 0.2, 0.29, 0.3, 0.6, 0.7, 1.0])


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def lists(items: torch.Tensor, lengths: torch.Tensor) -> list[list[int]]:
    """The rows without their padding, which has to be zeros."""
    for row, length in zip(items, lengths, strict=True):
        assert not row[length:].any()
    return [row[:length].tolist() for row, length in zip(items, lengths, strict=True)]


@given(shape=rows, share=shares)
def test_a_crop_is_a_part_in_a_row(shape, share):
    batch, longest, seed = shape
    items, lengths = random_rows(batch, longest, 9, seed)
    places = numbers(seed, batch)
    found = lists(*crop(items, lengths, share, places))
    for row, part, place in zip(lists(items, lengths), found, places.tolist(), strict=True):
        kept = max(1, int(share * len(row)))
        start = int(place * (len(row) - kept + 1))
        assert part == row[start : start + kept]


def test_a_crop_can_begin_at_each_place_and_nowhere_else():
    items, lengths = torch.arange(1, 11)[None].repeat(1000, 1), torch.full((1000,), 10)
    places = (torch.arange(1000) + 0.5) / 1000
    begins = crop(items, lengths, 0.6, places)[0][:, 0]
    assert begins.unique(return_counts=True)[0].tolist() == [1, 2, 3, 4, 5]
    assert begins.unique(return_counts=True)[1].tolist() == [200] * 5
    last = torch.tensor([1 - 2**-24])  # the largest number that is drawn
    for length in range(1, 51):
        row = torch.arange(1, length + 1)[None]
        assert lists(*crop(row, torch.tensor([length]), 0.02, last)) == [[length]]


@given(shape=rows, share=shares)
def test_a_mask_hides_the_items_of_the_smallest_numbers(shape, share):
    batch, longest, seed = shape
    items, lengths = random_rows(batch, longest, 9, seed)
    noise = numbers(seed, batch, longest)
    found = lists(mask(items, lengths, share, noise, MASK), lengths)
    for row, masked, drawn in zip(lists(items, lengths), found, noise.tolist(), strict=True):
        hidden = sorted(range(len(row)), key=drawn.__getitem__)[: int(share * len(row))]
        assert masked == [MASK if t in hidden else item for t, item in enumerate(row)]


@given(shape=rows, share=shares)
def test_a_reordering_moves_items_of_one_part_alone(shape, share):
    batch, longest, seed = shape
    items, lengths = random_rows(batch, longest, 9, seed)
    places, noise = numbers(seed, batch), numbers(seed + 1, batch, longest)
    found = lists(reorder(items, lengths, share, places, noise), lengths)
    for b, row in enumerate(lists(items, lengths)):
        moved = int(share * len(row))
        start = int(places[b].item() * (len(row) - moved + 1))
        order = sorted(range(start, start + moved), key=noise[b].tolist().__getitem__)
        assert found[b] == row[:start] + [row[t] for t in order] + row[start + moved :]
