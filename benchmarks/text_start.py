"""Measures what a start from text is worth: `python -m benchmarks.text_start --data-dir FOLDER [--seeds 3]`.

Trains FAME with equal settings and seeds from three starts of the items: random, the principal components of
their text vectors, and the contrastive stage (FAME+). Validation and test NDCG@10, over all users and by how
often the target occurs in training. Trainings go on where they were interrupted, and those that are there
are only evaluated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, add_tiny, publish
from fame.evaluation.seeds import mean_sd, over_seeds

STARTS: dict[str, tuple[str, ...]] = {
    "random": (),
    "text": ("text.plain=true",),
    "fame+": ("text.epochs=10",),
}
TINY = ("data.size={users: 60, items: 40}", "data.max_length=8", "model.dim=8", "train.epochs=1")
METRIC = "ndcg@10"
PARTS = ("validation", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="beauty", help="a dataset whose items have text (default: %(default)s)")
    parser.add_argument("--data-dir", help="folder with the dataset (default: downloaded, or generated)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each start (default: %(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change a setting of all trainings"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/text-start"), help="folder of the trainings (default: %(default)s)"
    )
    add_tiny(parser)
    args = parser.parse_args()
    if args.tiny:
        args.dataset, args.seeds, args.set = "synthetic", 1, [*TINY, *args.set]
    data = ["--dataset", args.dataset, *(["--data-dir", args.data_dir] if args.data_dir else [])]
    settings = ["train.epochs=20", "train.patience=4", "train.threads=1", *args.set]
    found: dict[str, list[dict[str, Any]]] = {}
    for start, own in STARTS.items():
        folder = args.output / start
        print(f"{start}: → {folder}", flush=True)
        train([*data, *(word for one in (*settings, *own) for word in ("--set", one))], args.seeds, folder)
        places = [folder] if args.seeds == 1 else [folder / f"seed-{seed}" for seed in range(args.seeds)]
        found[start] = [json.loads((place / "best/metrics.json").read_text(encoding="utf-8")) for place in places]
    results = {start: summary(metrics) for start, metrics in found.items()}
    print(f"\n{table(results)}\n", flush=True)
    rows = [
        Row(what=f"{start}: {part}, {group}", value=results[start][part][group]["mean"])
        for start in STARTS
        for part in PARTS
        for group in results[start][part]
    ]
    about = {
        "metric": METRIC,
        "dataset": found["random"][0]["dataset"],
        "settings": settings,
        "starts": STARTS,
        "seeds": [metrics["seed"] for metrics in found["random"]],
        "best_epochs": {start: [metrics["best_epoch"] for metrics in found[start]] for start in STARTS},
        "by_start": results,
        "disentanglement": {start: found[start][0].get("disentanglement") for start in STARTS},
    }
    publish("text_start", rows, about, args.tiny)


def train(words: list[str], seeds: int, folder: Path) -> None:
    command = [sys.executable, "-m", "fame.train", *words, "--seeds", str(seeds), "--output", str(folder)]
    subprocess.run(command, check=True, env={"OMP_NUM_THREADS": "1", **os.environ})


def summary(metrics: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation and values of the metric by part, over all users and by groups of them that there are."""
    return {
        part: {
            "all": _over_seeds([one[part] for one in metrics]),
            **{
                group: _over_seeds([one["by_frequency"][part][group] for one in metrics]) | {"users": first["users"]}
                for group, first in metrics[0]["by_frequency"][part].items()
            },
        }
        for part in PARTS
    }


def _over_seeds(results: list[dict[str, float]]) -> dict[str, Any]:
    return over_seeds([{METRIC: one[METRIC]} for one in results])[METRIC]


def table(results: dict[str, dict[str, Any]]) -> str:
    """Mean ± standard deviation over the seeds, a line for each start, as Markdown."""
    groups = {f"{part} {group}": None for result in results.values() for part in PARTS for group in result[part]}
    lines = [f"| {METRIC} | {' | '.join(groups)} |", "| --- |" + " ---: |" * len(groups)]
    for start, result in results.items():
        cells = [mean_sd(one) for part in PARTS for one in result[part].values()]
        lines.append(f"| {start} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
