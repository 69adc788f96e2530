"""How quality depends on heads and on experts: `python -m benchmarks.quality.curves`.

The paper's Figures 5 and 6, from the trainings of `figures.yaml` beside this file: a panel for each setting that `panels`
names, with the best validation metric of every seed, and the mean over the seeds. Writes
`benchmarks/results/curves.json` and draws `docs/curves.svg`.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from benchmarks import harness
from benchmarks.quality.rows import FILE, read_rows
from benchmarks.quality.seeds import FOLDER, results_of
from fame.config.tree import read_yaml
from fame.errors import UserError, run_command

DOCS = Path(__file__).parents[2] / "docs"
NAME = "curves"
METRIC = "ndcg@10"
Curve = dict[int, list[float]]
"""Validation metric of each seed, by the value that the setting has."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.curves", description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, default=FILE.with_name("figures.yaml"), help="YAML of the rows and panels")
    parser.add_argument("--results", type=Path, default=FOLDER, help="results (default: benchmarks/results/quality)")
    args = parser.parse_args()
    curves = read_curves(args.file, args.results)
    rows = [
        harness.Row(
            what=f"{setting} {value}, {len(found)} seed{'s' * (len(found) > 1)}",
            value=statistics.fmean(found),
        )
        for setting, curve in curves.items()
        for value, found in curve.items()
    ]
    draw(curves)
    harness.publish(NAME, rows, {"metric": f"validation {METRIC}", "curves": curves})


def read_curves(file: Path, results: Path) -> dict[str, Curve]:
    """A curve for each panel of the file. Raises `UserError` for one of which no row has been trained."""
    rows, curves = {row.name: row for row in read_rows(file)}, {}
    for setting, names in read_yaml(file)["panels"].items():
        found = {rows[name].settings["model"][setting]: results_of(rows[name], results) for name in names}
        curves[setting] = {
            value: [one.content["validation"][METRIC] for one in seeds] for value, seeds in found.items() if seeds
        }
        if not curves[setting]:
            raise UserError(
                f"{file}: no row of the panel {setting} is trained; run benchmarks.quality.train with --file"
            )
    return curves


def draw(curves: dict[str, Curve]) -> None:
    """A panel for each curve, on one scale of the metric."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fame", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4.5 * len(curves), 3.2), layout="constrained", sharey=True)
    for axis, (setting, curve) in zip([axes] if len(curves) == 1 else axes, curves.items(), strict=True):
        places = range(len(curve))
        axis.plot(places, [statistics.fmean(values) for values in curve.values()], color="#0072b2")
        for place, values in zip(places, curve.values(), strict=True):
            axis.plot([place] * len(values), values, "o", color="#0072b2", markersize=4, alpha=0.6)
        axis.set_xticks(places, list(map(str, curve)))
        axis.set_xlabel(setting)
        axis.grid(axis="y", alpha=0.3)
    figure.supylabel(f"validation {METRIC}", fontsize=9)
    figure.savefig(DOCS / f"{NAME}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    run_command(main)
