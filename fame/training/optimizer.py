"""The optimiser: Adam that leaves alone the rows of a table that a step has not met.

The gradient of an `nn.Embedding(sparse=True)` holds the rows that occur in the step and no others
(once it is coalesced). Only these rows, of the weight and of both moments, are read and written. So a step costs as
much as it has rows, however long the table is:

    m_i ← β₁ m_i + (1 − β₁) g_i,  v_i ← β₂ v_i + (1 − β₂) g_i²,
    w_i ← w_i − lr · m_i / (1 − β₁^t) / (√(v_i / (1 − β₂^t)) + ε)

for the rows i of step t, t counted over all steps. That differs from Adam on a dense gradient, where
the moments of a row that is not met decay, and go on moving it. Weight decay, too, reaches a row only
in the steps in which it occurs. `torch.optim.SparseAdam` does the same without weight decay, for
models whose gradients are all sparse, and no faster (docs/LOG.md).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fame.config import TrainConfig
from fame.runtime.sharding import ShardedEmbedding


class RowAdam(torch.optim.Adam):
    """Adam for dense gradients, and row by row for sparse ones.

    The methods that torch decorates are used without the decorators. Those import torch's compiler (dynamo and sympy,
    seconds of every new process) only to tell it to stay away. Nothing here is compiled.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    _dense_step = inspect.unwrap(torch.optim.Adam.step)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # nothing here asks for a loss again
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and weight.grad.is_sparse:
                    self._step_rows(weight, group)
                    weight.grad = None  # done: nothing is left for the dense step
        self._dense_step()

    def _step_rows(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        assert weight.grad is not None
        gradient = weight.grad.coalesce()
        rows, grad = gradient.indices()[0], gradient.values()
        values = weight[rows]
        if group["decoupled_weight_decay"]:
            values *= 1 - lr * decay
        elif decay:
            grad = grad + decay * values
        mean = state["exp_avg"][rows].lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        step = state["step"].double()  # stays on its device: to ask for its value would be to wait for a GPU
        scale = square.div_(1 - beta2**step).sqrt_().add_(group["eps"])
        weight[rows] = values.sub_(mean.div_(scale).mul_(lr / (1 - beta1**step)))


def make_optimizer(parameters: Iterable[nn.Parameter], train: TrainConfig) -> RowAdam:
    """The optimiser that `train.optimizer` names; without parameters it does nothing."""
    return RowAdam(
        [{"params": list(parameters)}],
        lr=train.lr,
        weight_decay=train.weight_decay,
        decoupled_weight_decay=train.optimizer == "adamw",
        fused=True,
    )


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float, table: ShardedEmbedding | None = None) -> None:
    """Scale the gradients so that the norm of all of them together is at most `max_norm`.

    Rows that a sparse gradient leaves out are zero, so the norm is that of the dense gradients. Of `table` each worker
    has some rows: its norm is that of all workers' rows.
    """
    grads, shared = [], None
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()  # rows that occur more than once are summed first
            grads.append(parameter.grad.values())
        elif parameter.grad is not None:
            grads.append(parameter.grad)
        if table is not None and parameter is table.weight:
            shared = grads.pop()
    norm = torch.nn.utils.get_total_norm(grads)
    if table is not None and shared is not None:
        norm = torch.hypot(norm, table.total(shared.norm().square()).sqrt())
        grads.append(shared)
    torch._foreach_mul_(grads, (max_norm / (norm + 1e-6)).clamp(max=1.0))
