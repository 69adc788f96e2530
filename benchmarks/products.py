"""The matrix products of some code, and nothing else of it: the floor that its time stands on.

`recorded` watches code run and notes every matrix product with shapes, strides and dtypes; `replay` runs
the same products on operands made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
Call = tuple[Any, tuple[Any, ...], tuple[tuple[str, Any], ...]]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.overloadpacket.__name__.rstrip("_") in PRODUCTS:
            self.calls.append((func, tuple(map(_describe, args)), tuple((k, _describe(v)) for k, v in kwargs.items())))
        return func(*args, **kwargs)


def recorded(work: Callable[[], object]) -> list[Call]:
    """The matrix products that `work` computes, in order."""
    with _Recorder() as recorder:
        work()
    return recorder.calls


def replay(calls: list[Call]) -> Callable[[], None]:
    """A function that computes the same products on random operands, which those of one kind share."""
    operands: dict[Any, Any] = {}

    def operand(described: Any) -> Any:
        if not (isinstance(described, tuple) and described[:1] == ("tensor",)):
            return described
        if described not in operands:
            _, shape, stride, dtype = described
            operands[described] = torch.empty_strided(shape, stride, dtype=dtype).normal_(std=0.1)
        return operands[described]

    ready = [(func, [*map(operand, args)], {k: operand(v) for k, v in kwargs}) for func, args, kwargs in calls]

    @torch.no_grad()
    def run() -> None:
        for func, args, kwargs in ready:
            func(*args, **kwargs)

    return run


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", tuple(value.shape), tuple(value.stride()), value.dtype)
    return value
