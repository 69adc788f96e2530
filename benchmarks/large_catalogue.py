"""Training with a sampled loss on a million items: `python -m benchmarks.large_catalogue`.

Two catalogues with equally many sequences of the same lengths, one of 10,000 items and one of
1,000,000: a step must cost nearly the same. And one process trains, evaluates and writes checkpoints
through `fame.training.fit` at 1,000,000 items, and says how much memory it took.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, add_tiny, in_own_process, in_turns, peak_memory, publish
from fame.config import Experiment
from fame.config.tree import experiment_from_dict, to_dict
from fame.datasets.sequences import Sequences
from fame.runtime.parallel import Workers
from fame.training.fit import fit
from fame.training.loop import StageRun
from fame.training.stages import stages

SMALL, LARGE, USERS = 10_000, 1_000_000, 2_400
TINY = (500, 2_000, 60)
MEAN_LENGTH, LONGEST = 8, 50
GIBIBYTE = 1 << 30
WORKERS = Workers(device=torch.device("cpu"))


def settings() -> Experiment:
    return experiment_from_dict(
        {
            "data": {"fingerprint": "zipf", "max_length": LONGEST},
            "model": {"name": "fame", "dim": 64, "blocks": 2, "heads": 2, "experts": 4},
            "train": {"loss": "sampled_softmax", "epochs": 1, "batch_size": 400},
        }
    )


def zipf_sequences(item_count: int, users: int) -> Sequences:
    """Lengths from 4 on, items by Zipf's law (exponent 1) over a random order of the catalogue."""
    generator = np.random.default_rng(0)
    lengths = np.minimum(4 + generator.geometric(1 / (MEAN_LENGTH - 3), users) - 1, LONGEST + 3)
    cumulative = np.cumsum(1 / np.arange(1, item_count + 1))
    ranks = np.searchsorted(cumulative, generator.random(lengths.sum()) * cumulative[-1])
    number_of_rank = generator.permutation(item_count) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(values=number_of_rank[ranks].astype(np.int32), offsets=offsets, item_count=item_count)


def epoch_of_training(item_count: int, users: int) -> tuple[Callable[[], None], int]:
    """A function that trains one epoch, and the epoch's number of steps."""
    experiment = settings()
    run = StageRun(experiment, stages(experiment)[0], zipf_sequences(item_count, users), WORKERS, {}, None)
    return lambda: run.train_epoch(1, 0), run.steps_per_epoch


def memory_of_fit(item_count: int, users: int) -> int:
    """Peak bytes of a process that trains, evaluates and writes checkpoints."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for _ in fit(settings(), zipf_sequences(item_count, users), Path(folder), WORKERS):
            pass
    return peak_memory()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--items", type=int, default=LARGE, metavar="V", help="the large catalogue (default: %(default)s)"
    )
    add_tiny(parser)
    args = parser.parse_args()
    small, large, users = TINY if args.tiny else (SMALL, args.items, USERS)
    torch.set_num_threads(1)
    memory = in_own_process(memory_of_fit, large, users)
    epochs = {f"{count:,}": epoch_of_training(count, users) for count in (small, large)}
    seconds = in_turns({name: epoch for name, (epoch, _) in epochs.items()}, rounds=5)
    steps = {name: seconds[name] / epochs[name][1] * 1000 for name in epochs}
    rows = [
        *(Row(what=f"a step at {name} items", value=value, unit="ms") for name, value in steps.items()),
        Row(
            what=f"step time at {large:,} items ÷ at {small:,}",
            value=steps[f"{large:,}"] / steps[f"{small:,}"],
            at_most=2,
        ),
        Row(
            what=f"peak memory of training and evaluating at {large:,} items",
            value=memory / GIBIBYTE,
            unit="GiB",
            at_most=8 if large <= LARGE else None,
        ),
    ]
    about = {"users": users, "threads": 1, "experiment": to_dict(settings())}
    publish("large_catalogue", rows, about, args.tiny)


if __name__ == "__main__":
    main()
