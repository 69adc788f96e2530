"""Make an index of a model's items: `python -m fame.index --model DIR`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.errors import UserError, run_command
from fame.runtime.files import writing


def main() -> None:
    args = parser().parse_args()
    import torch  # here, so that --help need not wait

    from fame.index.inverted import INDEX, write_index
    from fame.models.scoring import DotProduct
    from fame.serving.exported import load_model
    from fame.serving.measure_index import TOP, measured, queries_of_users

    exported = load_model(args.model)
    with torch.no_grad():
        scorer = exported.model.scorer()
        if type(scorer) is not DotProduct:
            name = exported.experiment.model.name
            raise UserError(f"{args.model}: the scores of {name} are no dot products, which an index needs")
        began = time.perf_counter()
        found = measured(scorer.table_VD, queries_of_users(exported))
    V, L = len(scorer.table_VD), len(found.index.centres_LE)
    print(
        f"index   {V:,} items in {L:,} groups, of which a query reads {found.index.probes}; {time.perf_counter() - began:.0f} s"
    )
    print(f"recall  {found.recall:.3f} of the exact top {TOP}")
    print(f"time    scores of one user: exact {found.exact_ms:.2f} ms, index {found.index_ms:.2f} ms")
    if found.index_ms >= found.exact_ms:
        print("no index is written: exact scores are as fast")
        return
    with writing(args.model):
        write_index(args.model, found.index, found.recall)
    print(f"wrote   {args.model / INDEX}: fame.recommend uses it, and so does the model once it is registered again")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    return parser


if __name__ == "__main__":
    run_command(main)
