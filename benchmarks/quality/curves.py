"""How the metric depends on heads and on experts: `python -m benchmarks.quality.curves NAME SWEEP_FOLDER …`.

The paper's Figures 5 and 6 from sweeps of one's own that search a single key beside the seed, such as those of
`heads.yaml` and `experts.yaml` beside this file, with `--sampler grid --scheduler none`. A panel for each sweep: the best
validation metric of every trial, and the mean over the seeds of each value. Writes `benchmarks/results/NAME.json` and draws
`docs/NAME.svg`.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from benchmarks.harness import Row, publish
from fame.config.tree import flatten, read_yaml, to_dict
from fame.errors import UserError, run_command
from tuning.trial.checkpoints import read_trial

DOCS = Path(__file__).parents[2] / "docs"
SEED = "seed"
Curve = dict[int, list[float]]
"""Best validation metric of the trials by the value that they have."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.curves", description=__doc__.partition("\n")[0])
    parser.add_argument("name", metavar="NAME", help="of the result and the picture")
    parser.add_argument("sweeps", metavar="SWEEP_FOLDER", nargs="+", type=Path, help="a panel each")
    args = parser.parse_args()
    curves, settings = {}, {}
    for folder in args.sweeps:
        key, metric = searched(folder)
        curves[key] = read_curve(folder, key)
        settings[key] = {"sweep": folder.name, **read_yaml(folder / "sweep.yaml")["options"]}
    rows = [
        Row(
            what=f"{key.partition('.')[2]} {value}, {len(found)} seed{'s' * (len(found) > 1)}",
            value=statistics.fmean(found),
        )
        for key, curve in curves.items()
        for value, found in curve.items()
    ]
    for one in settings.values():
        one["data"] = {k: v for k, v in one["data"].items() if k != "data.dir"}
        del one["tracking_uri"]
    draw(args.name, curves, metric)
    publish(args.name, rows, {"metric": f"validation {metric}", "sweeps": settings, "curves": curves})


def searched(folder: Path) -> tuple[str, str]:
    """The one key that a sweep searched beside the seed, and the metric. Raises `UserError` if it is another kind."""
    try:
        record = read_yaml(folder / "sweep.yaml")
    except UserError as error:
        raise UserError(f"{folder} is not the folder of a sweep: {error}") from None
    keys = [key for key in record["space"]["search"] if key != SEED]
    if len(keys) != 1:
        raise UserError(f"{folder}: its sweep searched {', '.join(keys) or 'nothing'}; a curve needs a single key")
    return keys[0], record["options"]["metric"]


def read_curve(folder: Path, key: str) -> Curve:
    """From the checkpoints of a sweep's trials. Raises `UserError` without any."""
    curve: Curve = defaultdict(list)
    for trial in sorted((folder / "trials").glob("*")):
        trained = read_trial(str(folder / "trials"), trial.name)
        if trained is not None:
            curve[flatten(to_dict(trained.experiment))[key]].append(trained.history[-1].best)
    if not curve:
        raise UserError(f"{folder} has no trial with a result")
    return dict(sorted(curve.items()))


def draw(name: str, curves: dict[str, Curve], metric: str) -> None:
    """A panel for each curve, on one scale of the metric."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fame", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4.5 * len(curves), 3.2), layout="constrained", sharey=True)
    for axis, (key, curve) in zip([axes] if len(curves) == 1 else axes, curves.items(), strict=True):
        places = range(len(curve))
        axis.plot(places, [statistics.fmean(values) for values in curve.values()], color="#0072b2")
        for place, values in zip(places, curve.values(), strict=True):
            axis.plot([place] * len(values), values, "o", color="#0072b2", markersize=4, alpha=0.6)
        axis.set_xticks(places, list(map(str, curve)))
        axis.set_xlabel(key.partition(".")[2])
        axis.grid(axis="y", alpha=0.3)
    figure.supylabel(f"validation {metric}", fontsize=9)
    figure.savefig(DOCS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    run_command(main)
