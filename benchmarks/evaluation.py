"""Full-ranking evaluation against its score product: `python -m benchmarks.evaluation [--data-dir FOLDER]`.

All 22,363 users of Beauty against all 12,101 items: encoding, scores, seen items left out, ranks, metrics.
The floor is the product of the queries with the item table alone, in blocks that are the best for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from benchmarks import beauty
from benchmarks.fixtures import stage_run
from benchmarks.harness import Row, in_turns, publish

BLOCK = (256, 4096)
"""Users × items of a block: the fastest of those tried, from 32 × all to 2,048 × 512."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    parser.add_argument("--rounds", type=int, default=5, help="turns whose median counts (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = beauty.load(args.data_dir, args.tiny)
    run = stage_run(data.sequences)
    product = score_product(len(data.sequences), run.model.item_table().detach())
    seconds = in_turns({"evaluation": lambda: run.evaluator.metrics(run.model), "product": product}, args.rounds)
    rows = [
        Row(what="evaluation of all users", value=seconds["evaluation"], unit="s"),
        Row(what="evaluation ÷ the bare score product", value=seconds["evaluation"] / seconds["product"], at_most=2.0),
    ]
    publish("evaluation", rows, {"data": data.name, "threads": args.threads}, args.tiny)


def score_product(users: int, table_VD: torch.Tensor) -> Callable[[], None]:
    """Scores of every user and item, a block at a time."""
    queries_UD = torch.randn(users, table_VD.shape[1])
    block = torch.empty(BLOCK)

    def work() -> None:
        for queries_BD in queries_UD.split(BLOCK[0]):
            for part_CD in table_VD.split(BLOCK[1]):
                torch.mm(queries_BD, part_CD.T, out=block[: len(queries_BD), : len(part_CD)])

    return work


if __name__ == "__main__":
    main()
