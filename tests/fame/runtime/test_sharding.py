"""A table whose rows lie on four workers is the table of one: rows, gradients, clipping, ranks and files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from fame.runtime.parallel import Workers
from fame.runtime.sharding import Stretch
from tests.fame.gloo import gloo_processes
from tests.fame.helpers import CPU
from tests.fame.runtime.sharded_rows import ASKED, MAX_NORM, SIZE, loss, model, ranks, table


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    folder = tmp_path_factory.mktemp("workers")
    return folder, gloo_processes("tests.fame.runtime.sharded_rows", folder, SIZE)


def whole_gradient() -> torch.Tensor:
    """The mean over the workers of what each one's loss asks of a table that it has alone."""
    alone = table()
    (sum(loss(alone(torch.tensor(asked)), rank) for rank, asked in enumerate(ASKED)) / SIZE).backward()
    return alone.weight.grad


def together(results: list[dict], key: str) -> torch.Tensor:
    return torch.cat([torch.tensor(result[key]).view(-1, 3) for result in results])


def test_rows_are_those_of_the_whole_table(workers):
    for asked, result in zip(ASKED, workers[1], strict=True):
        assert torch.equal(torch.tensor(result["rows"]), table()(torch.tensor(asked)))


def test_each_row_lies_on_one_worker_and_a_worker_may_have_none(workers):
    assert [result["stretch"] for result in workers[1]] == [[0, 2], [2, 4], [4, 6], [6, 6]]


def test_gradients_are_averaged_and_the_padding_has_none(workers):
    torch.testing.assert_close(together(workers[1], "gradient"), whole_gradient())


def test_gradients_are_clipped_by_the_norm_of_all_workers_rows(workers):
    gradient = whole_gradient()
    assert gradient.norm() > MAX_NORM
    torch.testing.assert_close(together(workers[1], "clipped"), gradient * MAX_NORM / (gradient.norm() + 1e-6))


def test_all_workers_rank_all_users_as_one_does(workers):
    expected = ranks(model(), Workers(device=CPU))
    assert len(set(expected)) > 5
    for result in workers[1]:
        assert result["ranks"] == expected


def test_scores_that_are_not_finite_on_one_worker_are_so_on_all(workers):
    assert [result["finite"] for result in workers[1]] == [False] * SIZE


def test_the_first_worker_writes_the_rows_of_all(workers):
    written = load_file(workers[0] / "whole.safetensors")
    assert torch.equal(written["table"], table().weight)
    assert torch.equal(written["other"], torch.arange(3))


@given(count=st.integers(1, 50), size=st.integers(1, 9), rows=st.lists(st.integers(0, 49), unique=True, max_size=20))
def test_stretches_follow_each_other_and_say_where_each_row_lies(count, size, rows):
    stretch = Stretch(count, 0, size)
    assert [row for rank in range(size) for row in range(count)[stretch.of(rank)]] == list(range(count))
    asked = sorted(row for row in rows if row < count)
    expected = [sum(row in range(count)[stretch.of(rank)] for row in asked) for rank in range(size)]
    assert stretch.counts(torch.tensor(asked, dtype=torch.int64)) == expected
