"""The quality tables, from the results of single seeds: `python -m benchmarks.quality`.

Reads `benchmarks/results/quality/` (`benchmarks.quality.train`), tests on the same users whether the rows differ from
the reference in test NDCG@10, and writes `benchmarks/results/quality_DATASET.json`, `quality_summary.json`, and the
configuration of each row to `tuning/configs/best/`. With another `--name` it writes `NAME_DATASET.json` alone.
`python -m benchmarks.page` makes the tables of `docs/RESULTS.md` from them. Nothing is trained, and nothing chosen, here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, origin
from benchmarks.quality.published import published
from benchmarks.quality.rows import FILE, Row, read_rows
from benchmarks.quality.seeds import SeedResult, results_of
from benchmarks.quality.tables import model_lines
from fame.config.tree import experiment_from_dict, write_yaml
from fame.datasets.sequences import PARTS
from fame.errors import UserError, run_command
from fame.evaluation.ranks import Ranks
from fame.evaluation.seeds import over_seeds
from fame.training.fit import deciding
from tuning.comparison.pairs import compare

METRIC = "ndcg@10"
NAME = "quality"
CONFIGS = Path(__file__).parents[2] / "tuning" / "configs" / "best"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row with all its seeds."""

    row: Row
    seeds: Sequence[SeedResult]

    @property
    def ranks(self) -> Ranks:
        first = self.seeds[0].ranks
        by_seed = {seed: parts for one in self.seeds for seed, parts in one.ranks.by_seed.items()}
        return Ranks(fingerprint=first.fingerprint, rules=first.rules, by_seed=by_seed)

    @property
    def config(self) -> Path:
        """Where the configuration is kept, for `python -m fame.train --config`."""
        return CONFIGS / f"{self.row.dataset}-{self.row.name.replace('_', '-')}.yaml"

    def to_dict(self) -> dict[str, Any]:
        contents = [one.content for one in self.seeds]
        value = published(self.row.dataset, contents[0]["model"])
        return {
            "label": self.row.label,
            "row": self.row.name,
            "model": contents[0]["model"],
            "seeds": [one.seed for one in self.seeds],
            **{part: over_seeds([content[part] for content in contents]) for part in PARTS},
            "history_kept": {
                part: over_seeds([content["history_kept"][part] for content in contents]) for part in PARTS
            },
            "best_epochs": [content["best_epoch"] for content in contents],
            "train_seconds": [content["train_seconds"] for content in contents],
            "commits": [content.get("commit") for content in contents],
            **({"published": {"value": value[0], "source": value[1]}} if value else {}),
        }

    def summary(self) -> dict[str, Any]:
        found = self.to_dict()
        return {
            "label": self.row.label,
            f"test_{METRIC}": found["test"][METRIC]["mean"],
            f"kept_test_{METRIC}": found["history_kept"]["test"][METRIC]["mean"],
            f"validation_{METRIC}": found["validation"][METRIC]["mean"],
            "sd": found["test"][METRIC]["sd"],
            "seeds": len(self.seeds),
            "config": str(self.config.relative_to(CONFIGS.parents[2])),
            "commit": found["commits"][-1],
        }


def main() -> None:
    args = _parser().parse_args()
    rows = read_rows(args.file)
    summary: dict[str, dict[str, Any]] = {}
    for dataset in dict.fromkeys(row.dataset for row in rows):
        entries = [
            Entry(row=row, seeds=found)
            for row in rows
            if row.dataset == dataset
            if (found := results_of(row, args.results / "quality"))
        ]
        if not entries:
            continue
        result = table(f"{args.name}_{dataset}", entries, args.reference)
        (args.results / f"{args.name}_{dataset}.json").write_text(_json(result), encoding="utf-8")
        if args.name == NAME:
            summary[dataset] = {entry.row.name: entry.summary() for entry in entries}
            for entry in entries:
                keep_configuration(entry)
        print("\n".join([f"## {dataset}", "", *model_lines(result), ""]), flush=True)
    if summary:
        (args.results / f"{args.name}_summary.json").write_text(_json(summary), encoding="utf-8")


def table(name: str, entries: Sequence[Entry], reference: str) -> dict[str, Any]:
    """All rows of one data set, and how their users' test metric differs from the reference's.

    Raises `UserError` if the seeds of a row have different settings, or rows were evaluated on different data.
    """
    check_comparable(entries)
    models = [entry.to_dict() for entry in entries]
    names = [entry.row.name for entry in entries]
    place = names.index(reference) if reference in names else 0
    for pair in compare(entries, METRIC, place):
        found = {key: getattr(pair, key) for key in ("difference", "low", "high", "p", "p_holm")}
        models[pair.first]["against_reference"] = found
    return {
        "benchmark": name,
        "metric": METRIC,
        "dataset": entries[0].seeds[0].content["data"],
        "reference": entries[place].row.label,
        "models": models,
        **origin(),
    }


def check_comparable(entries: Sequence[Entry]) -> None:
    first = entries[0].ranks
    for entry in entries:
        if entry.ranks.rules != first.rules or entry.ranks.fingerprint != first.fingerprint:
            raise UserError(
                f"{entry.row.name} and {entries[0].row.name} were evaluated on different data or by other rules"
            )
        settings = [without_seed(one.content["configuration"]) for one in entry.seeds]
        if any(one != settings[0] for one in settings):
            seeds = ", ".join(str(one.seed) for one in entry.seeds)
            raise UserError(f"{entry.row.dataset} {entry.row.name}: seeds {seeds} have different settings; train again")


def without_seed(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a row's seeds have in common. Products of the loss may differ in precision."""
    tree = deciding(experiment_from_dict(configuration))
    train = {key: value for key, value in tree["train"].items() if key != "precision"}
    return {**tree, "seed": None, "train": train}


def keep_configuration(entry: Entry) -> None:
    """Write the configuration where a user finds it: `python -m fame.train --config` repeats the training."""
    CONFIGS.mkdir(exist_ok=True)
    entry.config.write_text(write_yaml(entry.seeds[0].content["configuration"]), encoding="utf-8")


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--reference",
        default="fame_text",
        metavar="ROW",
        help="with which the others are compared (default: fame_text)",
    )
    parser.add_argument("--file", type=Path, default=FILE, help="YAML of the rows (default: rows.yaml)")
    parser.add_argument("--name", default=NAME, help="how the results are called (default: quality)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results (default: benchmarks/results)")
    return parser


if __name__ == "__main__":
    run_command(main)
