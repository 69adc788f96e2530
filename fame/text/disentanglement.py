"""How far the heads' item vectors are disentangled, as numbers, as text and as a heat map.

For the text stage's result (`python -m fame.text`), and for a model that was trained from it (`fame.serving.export`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fame.config import TextConfig
from fame.datasets.dataset import Dataset
from fame.text.facets import stage_facets
from fame.text.heatmap import heat_map
from fame.text.pretrain import tasks
from fame.text.probe import ProbeAccuracy, best_match, probe, purity
from fame.text.texts import with_text


@dataclass(frozen=True, kw_only=True)
class Disentanglement:
    """How well the H heads tell F facets apart."""

    heads: int
    trained: dict[str, int]
    """The head that the text stage trains with each facet."""
    probe: ProbeAccuracy
    purity: list[list[float]]
    """[F, H]."""

    @property
    def best_match(self) -> float:
        return best_match(self.purity)

    def to_dict(self) -> dict[str, Any]:
        return {
            "facets": self.probe.facets,
            "heads": [self.trained[name] for name in self.probe.facets],
            "accuracy": self.probe.accuracy,
            "frequent": self.probe.frequent,
            "purity": self.purity,
            "best_match_purity": self.best_match,
        }

    def __str__(self) -> str:
        names, columns, rows = self._table()
        lines = [f"{'linear probe, accuracy':32}" + "".join(f"{name:>10}" for name in columns)]
        lines += [f"{n:32}" + "".join(f"{x:10.3f}" for x in row) for n, row in zip(names, rows, strict=True)]
        return "\n".join([*lines, f"best-match purity {self.best_match:.3f}"])

    def heat_map(self, title: str) -> str:
        """SVG of the probe's accuracies."""
        return heat_map(f"{title}: facet (row) from head (column)", *self._table())

    def _table(self) -> tuple[list[str], list[str], list[list[float]]]:
        names = [f"{name} → head {self.trained[name]}" for name in self.probe.facets]
        rows = [[*row, most] for row, most in zip(self.probe.accuracy, self.probe.frequent, strict=True)]
        return names, [*(f"head {head}" for head in range(self.heads)), "frequent"], rows


def measure(config: TextConfig, dataset: Dataset, table_VD: Tensor, heads: int) -> Disentanglement | None:
    """Measure a table whose rows are H blocks, over the items with text. Return None if these have no facets."""
    items = with_text(dataset.items, config.columns)
    facets = stage_facets(config, dataset.items, dataset.facets, items, lambda line: None)
    if not facets:
        return None
    rows_ND = table_VD[items].cpu()
    return Disentanglement(
        heads=heads,
        trained={task.name: task.head for task in tasks(heads, facets) if task.facet is not None},
        probe=probe(rows_ND, heads, facets),
        purity=purity(rows_ND, heads, facets),
    )
