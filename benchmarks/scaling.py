"""Measures a training's cost as it grows: `python -m benchmarks.scaling` (about two minutes; draws docs/scaling.svg).

One quantity at a time is changed from FAME D 64, 2 blocks, H 2, N 4, T 50 on histories of Beauty's size:
items, users, history length, heads, experts, width, workers. Training is microseconds a (history → next
item) pair, evaluation microseconds a user.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import beauty
from benchmarks.fixtures import in_workers, sample_batches, stage_run, steps
from benchmarks.harness import Row, add_tiny, in_turns, publish
from fame.datasets.sequences import Sequences
from fame.training.loop import StageRun

PICTURE = Path(__file__).parent.parent / "docs" / "scaling.svg"
USERS, TINY_USERS = 4_000, 60
MEAN_LENGTH = beauty.ACTIONS / beauty.USERS
PAIRS = 2_500
"""Pairs of training that are timed."""
SAMPLED = {"loss": "sampled_softmax"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns whose median counts (default: %(default)s)")
    add_tiny(parser)
    args = parser.parse_args()
    users = TINY_USERS if args.tiny else USERS
    torch.set_num_threads(1)
    training: dict[str, list[tuple[float, float]]] = {}
    evaluation: dict[str, list[tuple[float, float]]] = {}
    for curve, x, run in points(users, 1 if args.tiny else None):
        batches = sample_batches(run, PAIRS)
        seconds = in_turns(
            {"train": steps(run, batches), "evaluate": lambda run=run: run.evaluator.ranks(run.model)}, args.rounds
        )
        pairs = sum(batch.target_count for batch in batches)
        training.setdefault(curve, []).append((x, 1e6 * seconds["train"] / pairs))
        evaluation.setdefault(curve, []).append((x, 1e6 * seconds["evaluate"] / len(run.evaluator.users)))
        print(
            f"{curve} {x:,}: {training[curve][-1][1]:.0f} µs a pair, {evaluation[curve][-1][1]:.0f} µs a user",
            flush=True,
        )
    training["workers"] = [(workers, together(workers, users)) for workers in (1, 2)]
    if not args.tiny:
        draw(training, evaluation)
    rows = [
        Row(what=f"{kind}, {curve} {x:,g}", value=value, unit=unit)
        for kind, unit, curves in (("training", "µs a pair", training), ("evaluation", "µs a user", evaluation))
        for curve, values in curves.items()
        for x, value in values
    ]
    publish("scaling", rows, {"threads": 1, "users": users}, args.tiny)


def points(users: int, of_each: int | None) -> Iterator[tuple[str, int, StageRun]]:
    """Yield (curve, x, training), the first so many of each curve. One at a time: the largest tables are a gigabyte."""
    for items in (1_000, 4_000, 12_000, 48_000, 200_000)[:of_each]:
        yield "items, exact softmax", items, stage_run(histories(users, items))
    for items in (1_000, 12_000, 200_000, 1_000_000)[:of_each]:
        yield "items, sampled softmax", items, stage_run(histories(users, items), train=SAMPLED)
    for count in (1_000, 4_000, 16_000, 64_000)[:of_each]:
        yield "users", count, stage_run(histories(count))
    for length in (10, 50, 100, 200)[:of_each]:
        sequences = histories(max(50, 5 * users // length), length=length + 3)
        yield (
            "history length T",
            length,
            stage_run(sequences, data={"max_length": length}, train={"batch_size": 640 // length}),
        )
    for heads in (1, 2, 4, 8, 16)[:of_each]:
        yield "heads H", heads, stage_run(histories(users), model={"heads": heads})
    for experts in (1, 2, 4, 8)[:of_each]:
        yield "experts N", experts, stage_run(histories(users), model={"experts": experts})
    for dim in (32, 64, 128, 256)[:of_each]:
        yield "width D", dim, stage_run(histories(users), model={"dim": dim})


def histories(users: int, items: int = beauty.ITEMS, length: float = MEAN_LENGTH) -> Sequences:
    return beauty.random_sequences(users, items, int(users * length))


def together(workers: int, users: int) -> float:
    """Microseconds a pair of data-parallel training, one thread each."""
    return max(in_workers(one_worker, workers, users))


def one_worker(users: int) -> float:
    """This worker's time for steps that all take together."""
    run = stage_run(histories(users), train={"batch_size": 256})
    batches = sample_batches(run, 4 * PAIRS)
    work = steps(run, batches)
    work()
    began = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - began) / sum(batch.target_count for batch in batches)


def draw(training: dict[str, Any], evaluation: dict[str, Any]) -> None:
    """One small chart for each quantity."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fame", "font.size": 9})
    from matplotlib import pyplot as plt

    panels: dict[str, list[tuple[str, Sequence[tuple[float, float]]]]] = {}
    for kind, curves in (("training, µs a pair", training), ("evaluation, µs a user", evaluation)):
        for curve, values in curves.items():
            title, _, variant = curve.partition(", ")
            panels.setdefault(title, []).append((kind + (f" ({variant})" if variant else ""), values))
    # One scale of cost for all: what is flat has to look flat.
    figure, axes = plt.subplots(2, 4, figsize=(14, 6), layout="constrained", sharey=True)
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        for label, values in lines:
            axis.loglog(*zip(*values, strict=True), marker="o", markersize=3, label=label)
        axis.set_title(title)
        at = sorted({x for _, values in lines for x, _ in values})
        axis.set_xticks(at, [f"{x:,.0f}" for x in at], rotation=30 if at[-1] > 1000 else 0)
        axis.minorticks_off()
        axis.legend(fontsize=6)
        axis.grid(which="major", alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
