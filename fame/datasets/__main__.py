"""`python -m fame.datasets NAME`: prepare a dataset and print what it is."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fame.command_line import CommandParser, typed
from fame.config import DataConfig, TextConfig
from fame.config.tree import apply_overrides, section_from_dict, set_key
from fame.datasets import Dataset, find_entry, load_dataset
from fame.datasets.dataset import roles
from fame.datasets.entry import DatasetEntry
from fame.datasets.options import add_data_options, data_settings
from fame.errors import UserError, run_command
from fame.registry import datasets


def main() -> None:
    args = parser().parse_args()
    if args.list:
        _print_list()
        return
    config, specs = _config(args)
    entry = find_entry(config)
    began = time.perf_counter()
    dataset = load_dataset(config)
    _print(dataset, entry, specs or list(dataset.facets), time.perf_counter() - began)
    if specs:
        from fame.text.facets import read_facet

        for spec in specs:
            print(f"facet        {read_facet(spec, dataset.items.columns, TextConfig().rare).line()}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description="Prepare a dataset and print its statistics.")
    parser.add_argument("name", nargs="?", help="a registered dataset (--list shows them)")
    parser.add_argument("--list", action="store_true", help="list the registered datasets")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="data.KEY=VALUE",
        help="a setting of the preparation, e.g. data.core=10",
    )
    add_data_options(parser)
    return parser


def _config(args: argparse.Namespace) -> tuple[DataConfig, list[str]]:
    if args.name and args.dataset:
        raise UserError(f"'{args.name}' and --dataset {args.dataset!r}: name the dataset once")
    args.dataset = args.dataset or args.name
    tree: dict[str, Any] = {}
    for key, value in data_settings(args).items():
        set_key(tree, key, value)
    tree = apply_overrides(tree, args.set)
    specs = tree.pop("text", {}).get("facets", []) if args.facets is not None else []
    other = sorted(set(tree) - {"data"})
    if other:
        raise UserError(f"{other[0]}: only data.* can be set here, for example --set data.core=10")
    if not tree:
        raise UserError(f"which dataset? Give a name ({', '.join(datasets.names())}) or --data FILE")
    return section_from_dict(DataConfig, tree["data"], "data"), specs


def _print_list() -> None:
    for name in datasets.names():
        entry = datasets.get(name)
        print(f"{name:16} {entry.about}; recipes: {', '.join(entry.recipes)}")


def _print(dataset: Dataset, entry: DatasetEntry, facets: list[str], seconds: float) -> None:
    config, figures = dataset.config, dataset.statistics
    recipe = entry.recipes[config.recipe or ""]
    print(f"{config.name}: {entry.about}")
    print(f"from         {dataset.source}")
    print(f"recipe       {config.recipe}{': ' + recipe.note if recipe.note else ''}")
    settings = ", ".join(
        f"{key} {getattr(config, key)}{'' if getattr(config, key) == getattr(recipe, key) else ' (set)'}"
        for key in ("min_rating", "core", "min_history", "max_history", "repeats")
    )
    print(f"preparation  {settings}")
    if used := roles(dataset, facets):
        print(f"columns      {used}")
    print(f"fingerprint  {dataset.fingerprint} (items {dataset.items_fingerprint})")
    print()
    print(f"{'':24}{'users':>12}{'items':>12}{'actions':>14}{'avg length':>12}{'density':>10}{'longest':>9}")
    for step in figures["steps"]:
        print(f"{step['name']:24}{step['users']:12,}{step['items']:12,}{step['actions']:14,}")
    print(
        f"{'prepared':24}{figures['users']:12,}{figures['items']:12,}{figures['actions']:14,}"
        f"{figures['average_length']:12.2f}{figures['density']:10.4%}{figures['longest']:9,}"
    )
    if entry.paper:
        row = entry.paper
        print(
            f"{'Table 1 of the paper':24}{row.users:12,}{row.items:12,}{row.actions:14,}"
            f"{'' if row.average_length is None else f'{row.average_length:.1f}':>12}"
            f"{'' if row.density_percent is None else f'{row.density_percent:.2f}%':>10}"
        )
        if row.note:
            print(f"  Table 1: {row.note}")
    print()
    print(f"item columns {', '.join(dataset.items.columns) or 'none'}; facets {', '.join(facets) or 'none'}")
    for label, text in (("cite", entry.citation), ("licence", entry.licence)):
        if text:
            print(f"{label:12} {text}")
    print(f"ready in {seconds:.2f} s")


if __name__ == "__main__":
    run_command(main)
