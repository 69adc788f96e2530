"""A quality result as Markdown: what was found beside what is published, and every metric of the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fame.evaluation.seeds import mean_sd

CUTOFFS = (5, 10, 20)


def model_lines(result: dict[str, Any]) -> list[str]:
    """All tables of a result, best test value last to first as the command named them."""
    models, metric, reference = result["models"], result["metric"], result["reference"]
    lines = _table(
        ("model", "seeds", "validation", "test", "published", "÷ published", f"against {reference} (95 %)", "p (Holm)"),
        [
            (
                entry["label"],
                str(len(entry["seeds"])),
                _value(entry["validation"][metric]),
                _value(entry["test"][metric]),
                *_beside_published(entry, metric),
                *_against(entry),
            )
            for entry in models
        ],
    )
    metrics = [f"{kind}@{k}" for kind in ("hr", "ndcg") for k in CUTOFFS]
    lines += ["", "Test, all metrics:", ""]
    lines += _table(
        ("model", *(name.upper() for name in metrics)),
        [(entry["label"], *(f"{entry['test'][name]['mean']:.4f}" for name in metrics)) for entry in models],
    )
    kept = [entry for entry in models if "history_kept" in entry]
    if kept:
        lines += ["", "With the items of the history kept in the ranking:", ""]
        lines += _table(
            ("model", f"validation {metric.upper()}", *(f"test {name.upper()}" for name in metrics)),
            [
                (
                    entry["label"],
                    f"{entry['history_kept']['validation'][metric]['mean']:.4f}",
                    *(f"{entry['history_kept']['test'][name]['mean']:.4f}" for name in metrics),
                )
                for entry in kept
            ],
        )
    return lines


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Every row's test metric on every data set: mean ± standard deviation, and the number of seeds."""
    labels = {name: entry["label"] for rows in summary.values() for name, entry in rows.items()}
    cells = [(label, *(_summarised(rows.get(name)) for rows in summary.values())) for name, label in labels.items()]
    return _table(("test NDCG@10", *(dataset.capitalize() for dataset in summary)), cells)


def _summarised(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "not trained yet"
    spread = f" ± {entry['sd']:.4f}" if entry["seeds"] > 1 else ""
    return f"{entry['test_ndcg@10']:.4f}{spread} ({entry['seeds']} seed{'s' if entry['seeds'] > 1 else ''})"


def _value(summary: dict[str, Any]) -> str:
    """Mean ± standard deviation; one seed has none."""
    return mean_sd(summary) if len(summary["values"]) > 1 else f"{summary['mean']:.4f}"


def _beside_published(entry: dict[str, Any], metric: str) -> tuple[str, str]:
    if "published" not in entry:
        return "", ""
    value = entry["published"]["value"]
    return f"{value:.4f} ({entry['published']['source']})", f"{entry['test'][metric]['mean'] / value:.2f}"


def _against(entry: dict[str, Any]) -> tuple[str, str]:
    found = entry.get("against_reference")
    if found is None:
        return "", ""
    return f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})", f"{found['p_holm']:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
