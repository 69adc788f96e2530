"""Adam by rows against PyTorch's Adam on dense gradients, and clipping with rows."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from fame.artifacts.checkpoint import load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from fame.config import TrainConfig
from fame.training.optimizer import clip_gradients, make_optimizer
from tests.fame.helpers import same_tensors

REFERENCE = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
RULES = [("adam", 0.0), ("adam", 0.1), ("adamw", 0.1)]


def table(sparse: bool = True, items: int = 7) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(items + 1, 3, padding_idx=0, sparse=sparse)


def loss_of(embedding: nn.Embedding, items: Tensor) -> Tensor:
    return (embedding(items) ** 3).sum() + embedding(items[:1]).sum()


def train(embedding: nn.Embedding, optimizer: torch.optim.Optimizer, steps: list[list[int]]) -> None:
    for items in steps:
        loss_of(embedding, torch.tensor(items)).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(("rule", "decay"), RULES)
def test_where_every_row_occurs_in_every_step_it_is_adam(rule, decay):
    ours, theirs = table(), table(sparse=False)
    steps = [[1, 2, 3, 4, 5, 6, 7, 7, 2]] * 5
    train(ours, make_optimizer(ours.parameters(), TrainConfig(optimizer=rule, lr=0.1, weight_decay=decay)), steps)
    train(theirs, REFERENCE[rule](theirs.parameters(), lr=0.1, weight_decay=decay), steps)
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize(("rule", "decay"), RULES)
def test_a_row_that_does_not_occur_stays_as_it_is_with_its_moments(rule, decay):
    embedding = table()
    optimizer = make_optimizer(embedding.parameters(), TrainConfig(optimizer=rule, lr=0.1, weight_decay=decay))
    train(embedding, optimizer, [[1, 2, 3]])
    before = {key: value.clone() for key, value in optimizer_tensors(optimizer).items()}, embedding.weight.clone()
    train(embedding, optimizer, [[3, 4, 0]])
    after = optimizer_tensors(optimizer), embedding.weight
    for left, right in (
        (before[1], after[1]),
        *((before[0][f"0.{m}"], after[0][f"0.{m}"]) for m in ("exp_avg", "exp_avg_sq")),
    ):
        assert torch.equal(left[[0, 1, 2, 5, 6, 7]], right[[0, 1, 2, 5, 6, 7]])
        assert (left[[3, 4]] != right[[3, 4]]).all()
    assert not embedding.weight[0].any(), "the padding"


def test_a_row_is_corrected_for_the_start_by_the_steps_of_all_rows():
    embedding = table()
    optimizer = make_optimizer(embedding.parameters(), TrainConfig(lr=0.1))
    train(embedding, optimizer, [[1, 2], [1, 2]])
    before, gradient = embedding.weight[5].detach().clone(), 3 * embedding.weight[5].detach() ** 2 + 1
    train(embedding, optimizer, [[5]])
    mean, square = 0.1 * gradient / (1 - 0.9**3), 0.001 * gradient**2 / (1 - 0.999**3)
    torch.testing.assert_close(embedding.weight[5].detach(), before - 0.1 * mean / (square.sqrt() + 1e-8))


def test_dense_weights_beside_a_table_are_those_of_adam():
    def trained(sparse: bool) -> dict[str, Tensor]:
        embedding = table(sparse)
        model = nn.Sequential(embedding, nn.Linear(3, 2))
        optimizer = make_optimizer(model.parameters(), TrainConfig(lr=0.1, weight_decay=0.01))
        for _ in range(3):
            model(torch.arange(1, 8)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        return model.state_dict()

    for got, want in zip(trained(True).values(), trained(False).values(), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("rule", "decay"), RULES)
def test_it_goes_on_from_its_saved_state_as_if_never_stopped(rule, decay, tmp_path):
    settings = TrainConfig(optimizer=rule, lr=0.1, weight_decay=decay)
    embedding, steps = table(), [[1, 2, 3], [3, 3, 4], [5, 1]]
    optimizer = make_optimizer(embedding.parameters(), settings)
    train(embedding, optimizer, steps)
    save_checkpoint(tmp_path / "c", optimizer_tensors(optimizer), {})
    again = table()
    again.load_state_dict(embedding.state_dict())
    resumed = make_optimizer(again.parameters(), settings)
    restore_optimizer(resumed, load_checkpoint(tmp_path / "c")[0])
    for one, its in ((embedding, optimizer), (again, resumed)):
        train(one, its, steps[::-1])
    assert torch.equal(embedding.weight, again.weight)
    assert same_tensors(optimizer_tensors(optimizer), optimizer_tensors(resumed))


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_clipping_rows_is_clipping_the_dense_gradient(largest):
    gradients = []
    for sparse in (True, False):
        embedding, linear = table(sparse), nn.Linear(3, 1)
        nn.init.ones_(linear.weight)
        (loss_of(embedding, torch.tensor([1, 1, 4, 0])) + linear(torch.ones(3))).sum().backward()
        parameters = [embedding.weight, linear.weight, nn.Parameter(torch.ones(2))]  # the last one has no gradient
        if sparse:
            clip_gradients(parameters, largest)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, largest)
        gradients.append([embedding.weight.grad.to_dense(), linear.weight.grad])
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want)


ONE_STEP = """
import sys
import torch
from fame.config import TrainConfig
from fame.training.optimizer import clip_gradients, make_optimizer
layer = torch.nn.Linear(3, 2)
optimizer = make_optimizer(layer.parameters(), TrainConfig())
layer(torch.ones(1, 3)).sum().backward()
clip_gradients(layer.parameters(), 0.1)
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
"""


def test_training_does_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-c", ONE_STEP], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
