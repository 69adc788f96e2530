"""Sweeps in an MLflow database as other people's are: runs, tags and the files of an exported model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.tracking import MlflowClient

from fame.config import EvaluateConfig, Experiment
from fame.config.tree import experiment_from_dict, to_dict, write_yaml
from fame.evaluation.ranks import RANKS, Ranks, rules
from fame.evaluation.seeds import over_seeds
from tests.commands import Done, call
from tuning import compare

USERS = 800
METRICS = ("hr@10", "ndcg@10")


def ranks_of(hits: float, seed: int) -> torch.Tensor:
    """Ranks of `USERS` users; a share of about `hits` of them is among the first ten. The same users for all seeds."""
    difficulty = np.random.default_rng(0).random(USERS)
    noise = np.random.default_rng(seed).normal(0, 0.05, USERS)
    place = np.random.default_rng(seed + 1000).integers(0, 10, USERS)
    return torch.from_numpy(np.where(difficulty + noise < hits, place, 50.0)).float()


def naive_metric(ranks: torch.Tensor, name: str) -> np.ndarray:
    k = int(name.partition("@")[2])
    gains = [
        (1 / np.log2(rank + 2) if name.startswith("ndcg") else 1.0) if rank < k else 0.0 for rank in ranks.tolist()
    ]
    return np.array(gains)


@dataclass
class Published:
    """A database, and what is published to it."""

    folder: Path
    client: MlflowClient = field(init=False)

    def __post_init__(self) -> None:
        self.uri = f"sqlite:///{self.folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)

    def sweep(
        self,
        name: str,
        hits: float | None = 0.2,
        *,
        experiment: str = "beauty",
        model: str = "fame",
        fingerprint: str = "abc",
        seeds: tuple[int, ...] = (0,),
        exclude_seen: bool = True,
        with_ranks: bool = True,
        metric: str = "ndcg@10",
        settings: dict[str, Any] | None = None,
        early: bool = False,
        epochs: int = 3,
    ) -> dict[int, dict[str, torch.Tensor]]:
        """Publish a sweep; returns its ranks. Without `hits` it has exported nothing.

        Its trials have `epochs` epochs, each one fewer than the one before. With `early`, its metrics have the names
        that earlier versions gave.
        """
        found = self.client.get_experiment_by_name(experiment)
        id = (
            found.experiment_id
            if found
            else self.client.create_experiment(experiment, (self.folder / "artifacts").as_uri())
        )
        tags = {"kind": "sweep", "sweep": name, "status": "finished", "model": model}
        parent = self.client.create_run(id, tags=tags, run_name=name).info.run_id
        seconds, saved = "time/train_seconds", "stage/backbone_seconds_saved"
        if early:
            seconds, saved = "train_seconds", "stage_backbone_seconds_saved"
        for number, status in enumerate(("finished", "finished", "pruned")):
            tags = {"kind": "trial", "trial": str(number), "status": status, "mlflow.parentRunId": parent}
            child = self.client.create_run(id, tags=tags).info.run_id
            for epoch in range(1, epochs + 1 - number):
                self.client.log_metric(child, seconds, 10.0, step=epoch)
        self.client.log_metric(parent, saved, 15.0)
        if hits is None:
            return {}
        by_seed = {seed: {"validation": ranks_of(hits, seed + 50), "test": ranks_of(hits, seed)} for seed in seeds}
        evaluate = EvaluateConfig(exclude_seen=exclude_seen)
        tree = {"model": {"name": model}, "data": {"name": experiment}, "evaluate": {"exclude_seen": exclude_seen}}
        for key, value in (settings or {}).items():
            section, _, leaf = key.partition(".")
            tree.setdefault(section, {})[leaf] = value
        best = self.folder / name / "best"
        best.mkdir(parents=True)
        (best / "config.yaml").write_text(write_yaml(to_dict(experiment_from_dict(tree))))
        values = {
            seed: {p: {m: float(naive_metric(r, m).mean()) for m in METRICS} for p, r in parts.items()}
            for seed, parts in by_seed.items()
        }
        results = {
            "metric": metric,
            **values[seeds[0]],
            "dataset": {
                "name": experiment,
                "recipe": "5-core",
                "fingerprint": fingerprint,
                "statistics": {"users": USERS, "items": 99},
            },
        }
        if len(seeds) > 1:
            parts = {p: over_seeds([one[p] for one in values.values()]) for p in ("validation", "test")}
            results["seeds"] = {"seeds": list(seeds), **parts}
        (best / "metrics.json").write_text(json.dumps(results))
        if with_ranks:
            Ranks(fingerprint=fingerprint, rules=rules(Experiment(evaluate=evaluate)), by_seed=by_seed).write(
                best / RANKS
            )
        for path in best.iterdir():
            self.client.log_artifact(parent, str(path), "best")
        return by_seed


def run(published: Published, *args: object) -> Done:
    return call(compare.main, "--tracking-uri", published.uri, *args)


def cells(out: str, first: str) -> list[str]:
    """The cells of the row of a table that begins with a text."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    (row,) = [row for row in rows if row[0] == first]
    return row
