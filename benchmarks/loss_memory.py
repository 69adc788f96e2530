"""Memory of the exact softmax: `python -m benchmarks.loss_memory`.

Peak resident memory that the loss adds beyond its inputs and gradients, for some rows and four times as
many, each in a process of its own.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.beauty import ITEMS
from benchmarks.harness import Row, add_tiny, in_own_process, peak_memory, publish
from fame.losses.softmax import linear_cross_entropy

ROWS, WIDTH = 2048, 64
DTYPES = (torch.float32, torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_tiny(parser)
    args = parser.parse_args()
    base, rows = 32 if args.tiny else ROWS, []
    for dtype in DTYPES:
        few, many = (in_own_process(extra_memory, count, dtype) for count in (base, 4 * base))
        name = str(dtype).removeprefix("torch.")
        rows += [
            Row(what=f"{name}: {base} rows", value=few / 2**20, unit="MiB"),
            Row(what=f"{name}: {4 * base} rows", value=many / 2**20, unit="MiB"),
            # A logit matrix of the added rows would be 290 MiB; 8 MiB is what an allocator may round.
            Row(what=f"{name}: growth with rows × 4", value=(many - few) / 2**20, unit="MiB", at_most=8),
        ]
    publish("loss_memory", rows, {"items": ITEMS, "width": WIDTH}, args.tiny)


def extra_memory(rows: int, dtype: torch.dtype) -> int:
    """Bytes that forward and backward add to the peak, without inputs and gradients."""
    torch.set_num_threads(1)
    rows_RD, table_VD = torch.randn(rows, WIDTH), torch.randn(ITEMS, WIDTH)
    gradients = [torch.ones_like(t) for t in (rows_RD, table_VD)]
    linear_cross_entropy(rows_RD[:16], table_VD[:16], torch.zeros(16, dtype=torch.long), dtype)  # loads libraries
    del gradients
    before = peak_memory()
    rows_RD.requires_grad_(), table_VD.requires_grad_()
    linear_cross_entropy(rows_RD, table_VD, torch.randint(ITEMS, (rows,)), dtype).backward()
    return peak_memory() - before


if __name__ == "__main__":
    main()
