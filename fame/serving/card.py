"""The model card that is written beside an exported model."""

from __future__ import annotations

from typing import Any

from fame.config import Experiment
from fame.config.paths import bare
from fame.config.tree import to_dict
from fame.datasets.sequences import PARTS
from fame.evaluation.seeds import mean_sd, measured

PREPARATION = ("min_rating", "core", "min_history", "max_history", "repeats", "max_length")
"""Settings of `data` that the card shows; where the data lie is in `config.yaml`."""


def model_card(experiment: Experiment, metrics: dict[str, Any]) -> str:
    """Markdown: what the model is, on which data, with which settings, how good, how to repeat it."""
    tree = bare(to_dict(experiment))
    data, statistics = metrics["dataset"], metrics["dataset"]["statistics"]
    about = metrics["provenance"]
    found = {part: measured(metrics, part) for part in PARTS}
    results = "\n".join(
        f"| {name} | {found['validation'][name]:.4f} | {found['test'][name]:.4f} |" for name in found["test"]
    )
    settings = "\n".join(
        f"| {section}.{key} | {value} |"
        for section in ("data", "model", "train", "text", "backbone", "evaluate")
        for key, value in tree[section].items()
        if section != "data" or key in PREPARATION
    )
    repeat = (
        "does not reach these results: settings changed during the training, after epoch "
        + ", ".join(str(change["epoch"]) for change in metrics["changes"])
        + " (`changes` in metrics.json), and config.yaml has the last ones."
        if "changes" in metrics
        else "reaches the same validation metric; bit for bit on the same kind of CPU with the same number of workers."
    )
    provenance = "\n".join(f"| {key} | {value} |" for key, value in about.items())
    return f"""# {experiment.model.name} on {data["name"]}

A sequential recommender: given the items a user has interacted with, oldest first, it scores every
item of the catalogue as the next one. Epoch {metrics["best_epoch"]} of {metrics["epochs"]} was the best on
validation {metrics["metric"]} and {_exported(metrics)}
{_new_items(metrics)}
| metric | validation | test |
| --- | ---: | ---: |
{results}

{_split(experiment)}, ranked among {experiment.evaluate.candidates} {statistics["items"]:,} items, items of the history
{"left out" if experiment.evaluate.exclude_seen else "kept"}; seed {experiment.seed}.
{_over_seeds(metrics)}{_final(metrics)}
## Use

In the folder of this file:

    python -m fame.recommend --model . --user ID
    python -m fame.recommend --model . --history ID,ID

## Data

{data["name"]}, recipe `{data["recipe"]}`, fingerprint `{data["fingerprint"]}`: {statistics["users"]:,} users,
{statistics["items"]:,} items, {statistics["actions"]:,} interactions, {statistics["average_length"]:.1f} a user.

## Repeat

    python -m fame.train --config config.yaml --output ../again

{repeat}

## Settings

| setting | value |
| --- | --- |
{settings}

## Provenance

| | |
| --- | --- |
{provenance}
"""


def _split(experiment: Experiment) -> str:
    """How the data are split, at the beginning of a sentence."""
    split = experiment.data.split
    return "Leave-one-out" if split.leave_one_out else f"Split by {split}"


def _exported(metrics: dict[str, Any]) -> str:
    """Whether the weights in the folder are those of the metrics."""
    if "refit" not in metrics:
        return "is the one exported. The test metrics were computed once, for this model."
    refit = metrics["refit"]
    epochs = ", ".join(f"{count} of {stage}" for stage, count in refit["epochs"].items())
    return f"""gave the metrics below: they are those of `evaluated.safetensors`.

**The model was then trained once more on everything**, the held-out items included: {refit["interactions"]:,} interactions, epochs:
{epochs}. `model.safetensors` is this model. Nothing was left to evaluate it by."""


def _new_items(metrics: dict[str, Any]) -> str:
    """The items that were added after the training, if there are any."""
    if "new_items" not in metrics:
        return ""
    return f"""
**{metrics["new_items"]["count"]:,} items were added after the training**, each placed by its text. The metrics are those without them.
"""


def _over_seeds(metrics: dict[str, Any]) -> str:
    """The same configuration with other seeds, if it was trained with any."""
    if "seeds" not in metrics:
        return ""
    seeds = metrics["seeds"]
    rows = "\n".join(
        f"| {name} | {mean_sd(seeds['validation'][name])} | {mean_sd(seeds['test'][name])} |" for name in seeds["test"]
    )
    return f"""
The same configuration with seeds {", ".join(map(str, seeds["seeds"]))}, mean ± standard deviation:

| metric | validation | test |
| --- | ---: | ---: |
{rows}
"""


def _final(metrics: dict[str, Any]) -> str:
    """The configurations that it was chosen from by their mean over seeds, if it was."""
    if "final" not in metrics:
        return ""
    rows = "\n".join(
        f"| {one['trial']} | {', '.join(f'{key} {value}' for key, value in one['params'].items())} "
        f"| {len(one['seeds'])} | {mean_sd(one)} |"
        for one in metrics["final"]
    )
    return f"""
The best configurations of the sweep were trained again with these seeds, and the one with the best mean was chosen;
the model is that of its best seed on validation.

| trial | configuration | seeds | validation {metrics["metric"]} |
| --- | --- | ---: | ---: |
{rows}
"""
