"""k-means against loops."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.models.baselines import kmeans as module
from fame.models.baselines.kmeans import kmeans, nearest


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(per_blob: int, centres: list[list[float]], seed: int = 0) -> torch.Tensor:
    noise = torch.randn(len(centres), per_blob, 2, generator=generator(seed), dtype=torch.float64)
    return (torch.tensor(centres, dtype=torch.float64)[:, None] + 0.1 * noise).flatten(0, 1)


def naive_lloyd(points: list[list[float]], centres: list[list[float]], iterations: int):
    """Plain lists; None where a cluster runs empty, which this does not treat."""

    def closest(point):
        distances = [sum((a - b) ** 2 for a, b in zip(point, centre, strict=True)) for centre in centres]
        return distances.index(min(distances))

    owner = [closest(point) for point in points]
    for _ in range(iterations):
        members = [[p for p, o in zip(points, owner, strict=True) if o == k] for k in range(len(centres))]
        if not all(members):
            return None
        centres = [[sum(column) / len(group) for column in zip(*group, strict=True)] for group in members]
        owner = [closest(point) for point in points]
    return centres, owner


@given(count=st.integers(4, 30), clusters=st.integers(1, 4), iterations=st.integers(0, 5), seed=st.integers(0, 99))
def test_it_is_lloyds_algorithm_from_random_points(count, clusters, iterations, seed):
    points = torch.randn(count, 3, generator=generator(seed), dtype=torch.float64)
    start = points[torch.randperm(count, generator=generator(seed))[:clusters]].tolist()
    expected = naive_lloyd(points.tolist(), start, iterations)
    if expected is not None:
        centres, owner = kmeans(points, clusters, iterations, generator(seed))
        torch.testing.assert_close(centres, torch.tensor(expected[0], dtype=torch.float64))
        assert owner.tolist() == expected[1]


def test_clusters_far_apart_are_found():
    points = blobs(20, [[0, 0], [9, 0], [0, 9], [9, 9]])
    for seed in range(10):
        # More centres than blobs, so that none is left to a bad start.
        _, owner = kmeans(points, 8, 10, generator(seed))
        groups = [set(part.tolist()) for part in owner.split(20)]
        assert all(not (a & b) for i, a in enumerate(groups) for b in groups[i + 1 :])


def test_a_centre_without_points_moves_to_a_point_far_from_all():
    points = torch.tensor([[0.0], [0.0], [0.0], [0.0], [5.0], [6.0]])
    seeds = (s for s in range(99) if not (torch.randperm(6, generator=generator(s))[:2] >= 4).any())
    centres, owner = kmeans(points, 2, 3, generator(next(seeds)))  # both start at 0
    assert sorted(centres.flatten().tolist()) == [0.0, 5.5]
    assert owner[:4].unique().numel() == 1 and owner[4] == owner[5] != owner[0]


def test_there_are_no_more_clusters_than_points():
    points = torch.randn(3, 2, generator=generator(0))
    centres, owner = kmeans(points, 5, 4, generator(0))
    assert centres.shape == (3, 2)
    assert sorted(owner.tolist()) == [0, 1, 2]


def test_chunks_change_nothing(monkeypatch):
    points = torch.randn(50, 4, generator=generator(1), dtype=torch.float64)
    whole = kmeans(points, 5, 6, generator(0))
    monkeypatch.setattr(module, "CHUNK", 7)
    parts = kmeans(points, 5, 6, generator(0))
    torch.testing.assert_close(parts[0], whole[0])
    assert torch.equal(parts[1], whole[1])


def test_distances_are_squared():
    found, distance = nearest(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 9.0]]))
    assert found.tolist() == [0, 0]
    torch.testing.assert_close(distance, torch.tensor([25.0, 1.0]))
