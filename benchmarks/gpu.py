"""Training on one GPU: `python -m benchmarks.gpu` (`--device cpu --users 300` tries it without one).

Needs torch alone. Beauty's size (D 64, 2 blocks, H 2, N 4, T 50) at the default batch and at larger ones, and
5-core ml-20m's size at T 200. The roofline of an epoch is the larger of two times, both measured in the same run. One
is its products' FLOPs over the speed of one large product. The other is the bytes that its optimiser, loss and products
must move over the speed of a large copy. The fused attention kernel's own work is left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch

from benchmarks.beauty import ACTIONS, ITEMS, USERS, random_sequences
from benchmarks.fixtures import sample_batches, stage_run
from benchmarks.harness import Row, publish, table
from benchmarks.products import Call, recorded
from fame.training.loop import StageRun

ML20M_USERS, ML20M_ITEMS, ML20M_ACTIONS = 138_493, 18_345, 19_984_024
"""5-core ml-20m."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training to time."""

    name: str
    users: int
    items: int
    actions: int
    max_length: int
    batch_size: int
    at_most: float | None = None
    """Target of its epoch, in seconds."""


CASES = (
    Case(name="Beauty", users=USERS, items=ITEMS, actions=ACTIONS, max_length=50, batch_size=64, at_most=0.25),
    Case(name="Beauty, 512 sequences a step", users=USERS, items=ITEMS, actions=ACTIONS, max_length=50, batch_size=512),
    Case(
        name="ml-20m, T 200",
        users=ML20M_USERS,
        items=ML20M_ITEMS,
        actions=ML20M_ACTIONS,
        max_length=200,
        batch_size=256,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="(default: %(default)s)")
    parser.add_argument("--users", type=int, help="fewer users, to try it (default: those of the data)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs whose fastest counts (default: %(default)s)")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device {args.device}: torch sees no GPU here; try --device cpu --users 300")
    flops, copy = product_speed(device), copy_speed(device)
    rows = [
        Row(what="one large product", value=flops / 1e12, unit="TFLOP/s"),
        Row(what="one large copy", value=copy / 1e9, unit="GB/s"),
    ]
    for case in CASES:
        rows += measured(case, args.users, args.epochs, device, flops, copy)
    if args.users or device.type != "cuda":
        print(table([dataclasses.replace(row, at_most=None) for row in rows]))  # a try is no result
    else:
        publish("gpu", rows, {"device": str(device)})


def measured(case: Case, users: int | None, epochs: int, device: torch.device, flops: float, copy: float) -> list[Row]:
    """Seconds of an epoch and of an evaluation, and the share of the roofline."""
    share = min(1.0, (users or case.users) / case.users)
    sequences = random_sequences(int(case.users * share), case.items, int(case.actions * share))
    run = stage_run(sequences, str(device), data={"max_length": case.max_length}, train={"batch_size": case.batch_size})
    seconds = min(
        timed(lambda epoch=epoch: run.train_epoch(epoch, epoch - 1), device) for epoch in range(1, epochs + 1)
    )
    evaluation = timed(lambda: run.evaluator.metrics(run.model), device)
    floor = roofline(run, flops, copy)
    return [
        Row(what=f"{case.name}: epoch", value=seconds, unit="s", at_most=case.at_most),
        Row(what=f"{case.name}: epoch ÷ its roofline", value=seconds / floor),
        Row(what=f"{case.name}: evaluation", value=evaluation, unit="s"),
    ]


def roofline(run: StageRun, flops: float, copy: float) -> float:
    """Seconds that an epoch needs at least: for its products, or for what they and the optimiser read and write."""
    batches = sample_batches(run, 20_000)
    calls = recorded(lambda: [run.step(batch) for batch in batches])
    whole = sum(run.batcher.windows.lengths) / sum(batch.target_count for batch in batches)
    # Adam reads a weight, its gradient and two moments, and writes all but the gradient.
    optimiser = 7 * 4 * sum(weight.numel() for weight in run.model.parameters()) * len(batches)
    return whole * max(sum(map(product_flops, calls)) / flops, (sum(map(product_bytes, calls)) + optimiser) / copy)


def operands(call: Call) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shapes and dtypes of the tensors that a product multiplies, without one that it adds."""
    tensors = [(part[1], part[3]) for part in call[1] if isinstance(part, tuple) and part[:1] == ("tensor",)]
    return tensors[-2:]


def product_flops(call: Call) -> float:
    (left, _), (right, _) = operands(call)
    return 2.0 * prod(left) * right[-1]


def product_bytes(call: Call) -> float:
    """Count both operands; a result may stay where the next operation finds it."""
    return float(sum(prod(shape) * dtype.itemsize for shape, dtype in operands(call)))


def product_speed(device: torch.device, size: int = 4096) -> float:
    """FLOP/s of a large bfloat16 product."""
    size = size if device.type == "cuda" else 1024
    a = torch.randn(size, size, device=device).bfloat16()
    timed(lambda: a @ a, device)
    return 10 * 2 * size**3 / timed(lambda: [a @ a for _ in range(10)], device)


def copy_speed(device: torch.device, size: int = 1 << 28) -> float:
    """Bytes/s, read and written, of a large copy."""
    a = torch.zeros(size, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    timed(lambda: b.copy_(a), device)
    return 10 * 2 * size / timed(lambda: [b.copy_(a) for _ in range(10)], device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device is done with it."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
