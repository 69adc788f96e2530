"""Facets: what columns of the item table say that items have in common.

A facet is asked for as `NAME`, a column of labels (several are joined by `|`). Or as `NAME:BINS`: a column of numbers,
cut into so many bins of equal frequency. Labels of few items are merged into none; a facet that says nothing after that
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fame.config import Experiment, TextConfig
from fame.datasets.entry import Report
from fame.errors import UserError, nearest

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset
    from fame.datasets.items import Items

LOWEST_SHARE = 0.05
"""Items that need a label for a facet to be one, as a share of the catalogue."""
_BINNED = re.compile(r"(.+):(\d+)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Facet:
    """Labels of the items as a jagged array: item v has `labels[offsets[v]:offsets[v + 1]]`.

    labels: int64, rising within an item, each label with at least two items; offsets: int64, [V + 1].
    """

    name: str
    labels: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...]
    """Name of each label."""
    merged: int
    """Labels that were merged into none."""

    @property
    def counts(self) -> np.ndarray:
        """Labels of each item, [V]."""
        return np.diff(self.offsets)

    def line(self) -> str:
        """The facet in words."""
        covered = float((self.counts > 0).mean())
        merged = f", {self.merged:,} rare ones merged into none" if self.merged else ""
        return f"{self.name}: {len(self.names):,} labels{merged}; {covered:.1%} of the items have one"


def read_facet(spec: str, columns: Mapping[str, Sequence[str]], rare: int, items: np.ndarray | None = None) -> Facet:
    """The facet that `spec` asks for; labels of fewer than `rare` items are merged into none.

    With `items`, of these alone (indices into the columns), in their order.

    Raises `UserError` if there is no such column, or nothing to learn from it.
    """
    binned = None if spec in columns else _BINNED.fullmatch(spec)
    name = binned[1] if binned else spec
    if name not in columns:
        raise UserError(f"text.facets: the items have no column {name!r}; {nearest(name, columns)}")
    texts = columns[name] if items is None else [columns[name][v] for v in items]
    rows = _bins(name, texts, int(binned[2])) if binned else [_split(text) for text in texts]
    facet = _facet(spec, rows, rare)
    _check(facet, rare, texts)
    return facet


def stage_facets(
    config: TextConfig, items: Items, declared: Sequence[str], known: np.ndarray, report: Report
) -> list[Facet]:
    """The facets of the stage, of the items `known`; of those that the dataset declares, the ones that are usable."""
    if config.facets is not None:
        facets = [read_facet(spec, items.columns, config.rare, known) for spec in config.facets]
    else:
        facets = list(_usable(declared, items.columns, config.rare, known, report))
    facets = facets[: config.facet_count or None]
    for facet in facets:
        report(f"facet {facet.line()}")
    return facets


def _usable(
    declared: Sequence[str], columns: Mapping[str, Sequence[str]], rare: int, known: np.ndarray, report: Report
) -> Iterator[Facet]:
    for spec in declared:
        try:
            yield read_facet(spec, columns, rare, known)
        except UserError as error:
            report(f"a facet of the dataset is left out: {error}")


def item_labels(experiment: Experiment, dataset: Dataset | None) -> np.ndarray | None:
    """Labels of all items in the experiment's facets, numbers from 1 and 0 for none, int64 [V, M].

    None for a model that reads none. Raises `UserError` if the items have no facet.
    """
    if not experiment.model.reads_labels():
        return None
    if dataset is None:
        raise UserError("model.labels: the labels are in the item table; load the data as a dataset")
    everywhere = np.arange(len(dataset.items))
    facets = stage_facets(experiment.text, dataset.items, dataset.facets, everywhere, lambda line: None)
    if not facets:
        raise UserError(
            f"model.labels: the items of {dataset.config.name} have no facet; name columns of labels with --facets, "
            "or leave model.labels out"
        )
    numbers_VM = np.zeros((len(dataset.items), sum(int(facet.counts.max()) for facet in facets)), np.int64)
    first, column = 1, 0
    for facet in facets:
        row_E = np.repeat(everywhere, facet.counts)
        numbers_VM[row_E, column + np.arange(len(row_E)) - np.repeat(facet.offsets[:-1], facet.counts)] = (
            first + facet.labels
        )
        first, column = first + len(facet.names), column + int(facet.counts.max())
    return numbers_VM


def _check(facet: Facet, rare: int, texts: Sequence[str]) -> None:
    if len(facet.names) < 2:
        hint = f"; for numbers, ask for bins: {facet.name}:8" if _are_numbers(texts) else ""
        raise UserError(
            f"text.facets: {facet.name!r} has {len(facet.names)} labels that at least {rare} items have "
            f"({facet.merged:,} rarer ones), and a facet needs two; lower text.rare, or leave it out{hint}"
        )
    covered = float((facet.counts > 0).mean())
    if covered < LOWEST_SHARE:
        hint = f"; for numbers, ask for bins: {facet.name}:8" if _are_numbers(texts) else ""
        raise UserError(
            f"text.facets: {facet.name!r}: only {covered:.1%} of the items have a label that at least {rare} items have "
            f"(needed: {LOWEST_SHARE:.0%}); lower text.rare, or leave it out{hint}"
        )


def _split(text: str) -> list[str]:
    return [label for part in text.split("|") if (label := part.strip())]


def _are_numbers(texts: Sequence[str]) -> bool:
    return all(_number(text) is not None for text in texts if text)


def _number(text: str) -> float | None:
    try:
        plain = text.strip().strip("$€£ \u00a0")
        if re.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+", plain):  # a decimal comma
            plain = plain.replace(".", "").replace(",", ".")
        value = float(plain)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _bins(name: str, texts: Sequence[str], bins: int) -> list[list[str]]:
    """One label per item: the quantile that its number lies in."""
    if bins < 2:
        raise UserError(f"text.facets: '{name}:{bins}': needs at least 2 bins")
    numbers = [_number(text) if text else None for text in texts]
    wrong = next((text for text, number in zip(texts, numbers, strict=True) if text and number is None), None)
    if wrong is not None:
        raise UserError(f"text.facets: '{name}:{bins}' asks for bins of numbers, and {wrong!r} is none; use {name!r}")
    known = np.array([number for number in numbers if number is not None])
    if not len(known):
        return [[] for _ in texts]
    # Equal numbers share a bin, so there may be fewer bins than asked for.
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins))
    edges = edges[edges > known.min()]
    return [[] if n is None else [f"bin {int(np.searchsorted(edges, n, side='right'))}"] for n in numbers]


def _facet(name: str, rows: list[list[str]], rare: int) -> Facet:
    rows = [sorted(set(row)) for row in rows]
    names, counts = np.unique([label for row in rows for label in row] or np.empty(0, str), return_counts=True)
    kept = [str(label) for label, count in zip(names, counts, strict=True) if count >= rare]
    number = {label: index for index, label in enumerate(kept)}
    labels = [[number[label] for label in row if label in number] for row in rows]
    offsets = np.cumsum([0, *map(len, labels)]).astype(np.int64)
    flat = np.array([label for row in labels for label in row], np.int64)
    return Facet(name=name, labels=flat, offsets=offsets, names=tuple(kept), merged=len(names) - len(kept))
