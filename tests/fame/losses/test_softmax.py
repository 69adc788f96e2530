"""The chunked loss against PyTorch's cross entropy."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import fame.losses.softmax
from fame.losses.softmax import linear_cross_entropy, multiplies_bfloat16_faster, product_dtype

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def problem(rows: int, items: int, dim: int = 7, dtype=torch.float64, scale: float = 1.0):
    generator = torch.Generator().manual_seed(rows * 1000 + items)
    z = (torch.randn(rows, dim, generator=generator, dtype=torch.float64) * scale).to(dtype).requires_grad_()
    table = torch.randn(items, dim, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return z, table, torch.randint(items, (rows,), generator=generator)


def reference(z, table, targets, label_smoothing=0.0):
    loss = F.cross_entropy(z @ table.T, targets, reduction="sum", label_smoothing=label_smoothing)
    return loss, *torch.autograd.grad(loss, [z, table])


def ours(z, table, targets, dtype, label_smoothing=0.0):
    loss = linear_cross_entropy(z, table, targets, dtype, label_smoothing=label_smoothing)
    return loss, *torch.autograd.grad(loss, [z, table])


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 2·D rows, the smallest there are."""
    monkeypatch.setattr(fame.losses.softmax, "chunk_bytes", lambda device: 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("items", [1, 2, 37])
@pytest.mark.parametrize("rows", [0, 1, 13, 14, 15, 28, 50])
def test_value_and_gradients_are_those_of_cross_entropy_at_every_chunk_boundary(rows, items, smoothing, small_chunks):
    z, table, targets = problem(rows, items)
    results = ours(z, table, targets, torch.float64, smoothing), reference(z, table, targets, smoothing)
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_one_chunk_and_many_agree(monkeypatch):
    z, table, targets = problem(200, 50)
    one = ours(z, table, targets, torch.float64)
    monkeypatch.setattr(fame.losses.softmax, "chunk_bytes", lambda device: 8 * 50 * 23)
    for got, expected in zip(ours(z, table, targets, torch.float64), one, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_gradcheck(smoothing, small_chunks):
    z, table, targets = problem(20, 5, dim=3)

    def loss(z, table):
        return linear_cross_entropy(z, table, targets, torch.float64, label_smoothing=smoothing)

    assert torch.autograd.gradcheck(loss, (z, table))


def test_the_gradient_is_scaled_by_what_comes_from_above():
    z, table, targets = problem(5, 9)
    (linear_cross_entropy(z, table, targets, torch.float64) * 0.25).backward()
    _, rows_grad, table_grad = reference(z, table, targets)
    torch.testing.assert_close(z.grad, rows_grad / 4)
    torch.testing.assert_close(table.grad, table_grad / 4)


def test_large_logits_do_not_overflow():
    z, table, targets = problem(20, 9, dtype=torch.float32, scale=1e4)
    _, *gradients = reference(z.double(), table.double(), targets)
    loss, *got = ours(z, table, targets, torch.float32)
    for mine, want in zip(got, gradients, strict=True):
        torch.testing.assert_close(mine.double(), want, rtol=1e-4, atol=1e-2)
    each = F.cross_entropy(z.double() @ table.double().T, targets, reduction="none")
    assert each.max() > 1000, "nothing large was tried"
    torch.testing.assert_close(loss.double(), each.clamp(max=-math.log(torch.finfo(torch.float32).tiny)).sum())


def test_float32_products_are_within_rounding_of_float64():
    z, table, targets = problem(300, 200, dim=32, dtype=torch.float32)
    for got, want in zip(
        ours(z, table, targets, torch.float32), reference(z.double(), table.double(), targets), strict=True
    ):
        assert (got - want).norm() <= 1e-5 * want.norm()


def test_bfloat16_products_stay_within_the_bound_of_their_rounding():
    z, table, targets = problem(300, 200, dim=32, dtype=torch.float32, scale=0.3)
    got = ours(z, table, targets, torch.bfloat16)
    want = reference(z, table, targets)
    # bfloat16 rounds to 8 bits, so each number is off by at most 2⁻⁹ of itself. A logit is a sum of products of
    # two rounded numbers, rounded again: |Δ| ≤ 2⁻⁹ (2 Σ|z_i e_i| + |Σ z_i e_i|). log Σ exp and the target's
    # logit each move by at most max |Δ|, and each softmax weight by a factor of at most exp(2 max |Δ|).
    products = (z.abs() @ table.abs().T).detach()
    delta = 2**-9 * (2 * products + (z @ table.T).abs().detach()).amax(1)
    assert (got[0] - want[0]).abs() <= 2 * delta.sum()
    # The weights and the table are rounded once more before the gradient's products.
    weights = (2 * delta).expm1() + 2 * 2**-8
    bound = weights[:, None] * (torch.softmax(z @ table.T, 1) @ table.abs()).detach()
    assert ((got[1] - want[1]).abs() <= bound + 1e-6).all()
    assert (got[2] - want[2]).norm() <= 0.01 * want[2].norm()
    assert (got[1] - want[1]).norm() > 1e-4 * want[1].norm(), "bfloat16 was asked for and not used"
    assert [t.dtype for t in got] == [torch.float32] * 3


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_no_tensor_of_rows_times_items_is_ever_made(dtype, monkeypatch):
    monkeypatch.setattr(fame.losses.softmax, "chunk_bytes", lambda device: dtype.itemsize * 100 * 20)  # 20 rows
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else [out]:
                largest = max(largest, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)
            return out

    z, table, targets = problem(1000, 100, dim=2, dtype=torch.float32)
    with Watch():
        ours(z, table, targets, dtype)
    assert 0 < largest <= 20 * 100


def test_the_dtype_of_the_products_follows_the_setting_and_the_hardware(monkeypatch):
    cpu = torch.device("cpu")
    assert product_dtype("float32", cpu) is torch.float32
    assert product_dtype("bfloat16", cpu) is torch.bfloat16
    for faster, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(fame.losses.softmax, "multiplies_bfloat16_faster", lambda kind, faster=faster: faster)
        assert product_dtype("auto", cpu) is expected


def test_asking_the_hardware_for_bfloat16_answers_yes_or_no():
    assert multiplies_bfloat16_faster("cpu") in (True, False)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_rows_of_padding_have_no_logit_and_no_gradient(smoothing):
    z, table, targets = problem(50, 9)
    padded = torch.cat([torch.full((2, 7), 5.0, dtype=torch.float64), table.detach()]).requires_grad_()
    loss = linear_cross_entropy(z, padded, targets + 2, torch.float64, padding=2, label_smoothing=smoothing)
    rows_grad, padded_grad = torch.autograd.grad(loss, [z, padded])
    expected = reference(z, table, targets, smoothing)
    for got, want in zip((loss, rows_grad, padded_grad[2:]), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    assert not padded_grad[:2].any()
