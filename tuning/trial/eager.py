"""Optimisers of torch that do without torch's compiler.

The first optimiser of a process imports the compiler (dynamo and sympy, seconds) only to tell it to
stay away from the optimiser's methods. Nothing here is compiled, and a trial's process is new.
"""

from __future__ import annotations

import inspect

import torch
from torch.optim import Adam, Optimizer

METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
DISABLED = "__dynamo_disable"
"""Where torch looks for what it runs in place of a method that the compiler is to leave alone."""


def without_compiler() -> None:
    """Let Adam (and AdamW, which inherits from it) run its methods as they are. Results are the same."""
    for method in METHODS:
        plain = inspect.unwrap(getattr(Optimizer, method))
        setattr(plain, DISABLED, plain)
    Adam.step = torch.no_grad()(inspect.unwrap(Adam.step))
