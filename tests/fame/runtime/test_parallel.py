"""Two workers: the rows that they share, and the gradients of rows, are those of one process."""

from __future__ import annotations

import pytest
import torch

from fame.runtime.parallel import Workers, gather_rows
from tests.fame.gloo import gloo_processes
from tests.fame.helpers import CPU
from tests.fame.runtime.sharing_rows import lookup, loss, rows


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return gloo_processes("tests.fame.runtime.sharing_rows", tmp_path_factory.mktemp("workers"))


def test_rows_that_workers_share_are_those_of_one_and_so_are_their_gradients(two_workers):
    whole = rows().requires_grad_()
    loss(whole).backward()
    for rank, results in enumerate(two_workers):
        assert torch.equal(torch.tensor(results["whole"]), rows())
        torch.testing.assert_close(torch.tensor(results["gradient"]), whole.grad[rank::2])


def test_gradients_of_rows_are_averaged_over_workers(two_workers):
    dense = [lookup(rank, sparse=False) for rank in range(2)]
    mean = sum(module.weight.grad for module in dense) / 2
    for results in two_workers:
        torch.testing.assert_close(torch.tensor(results["averaged"]), mean)


def test_the_first_workers_answer_counts(two_workers):
    assert [results["decided"] for results in two_workers] == [[True, False]] * 2


def test_a_single_worker_has_everything():
    alone = Workers.current(CPU)
    assert (alone.rank, alone.size, alone.first, alone.decided(True)) == (0, 1, True, True)
    assert torch.equal(gather_rows(rows(), alone.share, 5), rows())
