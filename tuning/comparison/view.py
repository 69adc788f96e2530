"""A comparison on the terminal and as a page."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fame.config.metrics import ACCURACY
from fame.datasets.sequences import PARTS, Part
from fame.errors import UserError
from fame.evaluation.seeds import mean_sd, measured
from fame.evaluation.significance import RESAMPLES
from tuning.comparison.pairs import Pair, check_comparable, compare
from tuning.comparison.sweeps import ComparedSweep
from tuning.pages import render
from tuning.pages.tables import Column, Table, clock, columns

LEVEL = 0.05
"""Largest adjusted p-value of a clear difference."""
NOT_SHOWN = ("data.dir", "data.path", "data.items", "data.columns", "data.fingerprint", "train.threads")
"""Settings of the place of a training. They do not decide its result."""
ENDED = {"finished": "finished", "pruned": "stopped", "failed": "failed", "interrupted": "interrupted"}
MOST_COLUMNS = 6
"""Most sweeps side by side. More sweeps stand one below the other."""
WIDE = ("hr@", "ndcg@")
"""Beginnings of the metrics that are shown where each one takes a column."""
UNEQUAL = 1.5
"""Largest ratio of two budgets that count as equal: early stopping alone makes them differ."""
MARGIN = 3
"""Per cent at both sides of the picture of intervals."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sweeps side by side."""

    sweeps: Sequence[ComparedSweep]
    metric: str
    pairs: Sequence[Pair]

    @classmethod
    def of(cls, sweeps: Sequence[ComparedSweep], metric: str | None, against: str | None = None) -> Comparison:
        """Compare by a metric, or by the metric that all sweeps searched by.

        All pairs are compared, or all others with the sweep `against`. Raises `UserError` if they cannot be compared.
        """
        letters = string.ascii_uppercase
        if len(sweeps) > len(letters):
            raise UserError(f"{len(sweeps)} sweeps are too many for a comparison; name at most {len(letters)}")
        check_comparable(sweeps)
        if metric is None:
            metrics = sorted({one.metric for one in sweeps})
            if len(metrics) > 1:
                raise UserError(
                    f"the sweeps searched by different metrics, {' and '.join(metrics)}; give one with --metric"
                )
            (metric,) = metrics
        return cls(sweeps=sweeps, metric=metric, pairs=compare(sweeps, metric, _place(sweeps, against)))

    def warnings(self) -> list[str]:
        """Return a line if some sweeps trained much longer than others: then the search explains a difference, too."""
        found = []
        for what, numbers in {
            "trials": [sum(one.effort.trials.values()) for one in self.sweeps],
            "epochs": [one.effort.epochs for one in self.sweeps],
        }.items():
            least, most = min(numbers), max(numbers)
            if most > UNEQUAL * least:
                more, fewer = (self._name(self.sweeps[numbers.index(end)]) for end in (most, least))
                found.append(
                    f"budgets differ: {more} has {most:,} {what}, {fewer} has {least:,}; give the sweeps the same "
                    "--trials and --epochs before you call one model better"
                )
        return found

    def tables(self) -> list[Table]:
        found = [self._overview(), self._metrics(), self._settings(), self._significance()]
        return [table for table in found if table.rows]

    def page(self, notes: Sequence[str]) -> str:
        """Return a self-contained HTML page."""
        data = self.sweeps[0].results["dataset"]
        return render(
            "compare.html",
            title=f"Sweeps on {data['name']}",
            subtitle=f"recipe {data['recipe']}, fingerprint {data['fingerprint']}, "
            f"{data['statistics']['users']:,} users, {data['statistics']['items']:,} items",
            metric=self.metric,
            tables=self.tables(),
            forest=self._forest(),
            notes=notes,
        )

    def _overview(self) -> Table:
        rows = []
        for letter, one in self._lettered():
            trials = ", ".join(f"{count} {ENDED.get(how, how)}" for how, count in sorted(one.effort.trials.items()))
            rows.append(
                [letter, self._name(one), one.model, trials, str(one.effort.epochs), clock(one.effort.train_seconds)]
                + [_value(one, part, self.metric) for part in PARTS]
            )
        return Table(
            title="Best of each sweep",
            columns=columns(
                ["", "sweep", "model", "trials"],
                ["epochs", "training", f"validation {self.metric}", f"test {self.metric}"],
            ),
            rows=rows,
            note="Chosen by validation; epochs and time of training are those of all trials of the sweep.",
        )

    def _metrics(self) -> Table:
        names = list(dict.fromkeys(name for one in self.sweeps for name in measured(one.results, "test")))
        note = "Several seeds: mean ± standard deviation." if any("seeds" in one.results for one in self.sweeps) else ""
        if self._many:
            names = [name for name in names if name.startswith(WIDE) or name == self.metric]
            rows = [[letter, *(_value(one, "test", name) for name in names)] for letter, one in self._lettered()]
            return Table(title="Test metrics", columns=columns([""], names), rows=rows, note=note)
        rows = [[name, *(_value(one, "test", name) for one in self.sweeps)] for name in names]
        return Table(title="Test metrics", columns=self._columns("metric"), rows=rows, note=note)

    def _settings(self) -> Table:
        keys = dict.fromkeys(key for one in self.sweeps for key in one.settings if key not in NOT_SHOWN)
        rows = [[key, *(_setting(one.settings, key) for one in self.sweeps)] for key in keys]
        differing = [row for row in rows if len(set(row[1:])) > 1]
        title = "Settings that differ"
        if self._many:
            shown = [row[0] for row in differing]
            rows = [[letter, _listed(one.settings, shown)] for letter, one in self._lettered()] if shown else []
            return Table(title=title, columns=columns(["", "settings"], []), rows=rows)
        return Table(title=title, columns=self._columns("setting"), rows=differing)

    @property
    def _many(self) -> bool:
        """Whether there are too many sweeps for a column each. Each sweep is then a line."""
        return len(self.sweeps) > MOST_COLUMNS

    def _significance(self) -> Table:
        rows = []
        for pair in self.pairs:
            ranks = self.sweeps[pair.second].ranks
            assert ranks is not None
            mean = float(ranks.metric(self.metric, "test").mean())
            share = f" ({pair.difference / mean:+.1%})" if mean else ""
            rows.append(
                [
                    self._pair(pair),
                    self._verdict(pair),
                    f"{pair.difference:+.4f}{share}",
                    f"{pair.low:+.4f} to {pair.high:+.4f}",
                    f"{pair.p:.4f}",
                    f"{pair.p_holm:.4f}",
                ]
            )
        users = f"{self.pairs[0].users:,}" if self.pairs else ""
        return Table(
            title=f"Test {self.metric}, user by user ({users} users)",
            columns=columns(["pair", ""], ["difference", "95 % interval", "p", "p (Holm)"]),
            rows=rows,
            note=f"Paired bootstrap and permutation test over users, {RESAMPLES:,} resamples; of several seeds a user's mean. "
            f"Clear: p (Holm) ≤ {LEVEL}.",
        )

    def _forest(self) -> list[dict[str, Any]]:
        """Return the intervals as a picture, with places in per cent of its width."""
        low = min([0.0, *(pair.low for pair in self.pairs)])
        width = max([0.0, *(pair.high for pair in self.pairs)]) - low

        def place(value: float) -> float:
            return round(MARGIN + (100 - 2 * MARGIN) * ((value - low) / width if width else 0.5), 2)

        return [
            {
                "label": self._pair(pair),
                "title": f"{pair.low:+.4f} to {pair.high:+.4f}",
                "zero": place(0),
                "low": place(pair.low),
                "middle": place(pair.difference),
                "width": round(place(pair.high) - place(pair.low), 2),
                "clear": pair.p_holm <= LEVEL,
            }
            for pair in self.pairs
        ]

    def _lettered(self) -> list[tuple[str, ComparedSweep]]:
        return list(zip(string.ascii_uppercase, self.sweeps, strict=False))

    def _columns(self, first: str) -> list[Column]:
        return columns([first], [letter for letter, _ in self._lettered()])

    def _name(self, sweep: ComparedSweep) -> str:
        several = len({one.experiment for one in self.sweeps}) > 1
        return f"{sweep.experiment}/{sweep.name}" if several else sweep.name

    def _pair(self, pair: Pair) -> str:
        return f"{string.ascii_uppercase[pair.first]} − {string.ascii_uppercase[pair.second]}"

    def _verdict(self, pair: Pair) -> str:
        if pair.p_holm > LEVEL:
            return "no clear difference"
        return f"{string.ascii_uppercase[pair.first if pair.difference > 0 else pair.second]} is better"


def _place(sweeps: Sequence[ComparedSweep], name: str | None) -> int | None:
    """Return the place of the sweep of this name. Raises `UserError` if there is not exactly one, or it has no ranks."""
    if name is None:
        return None
    places = [place for place, one in enumerate(sweeps) if name in (one.name, f"{one.experiment}/{one.name}")]
    if len(places) != 1:
        raise UserError(f"--against {name}: must be one of the sweeps, {', '.join(one.name for one in sweeps)}")
    if sweeps[places[0]].ranks is None:
        raise UserError(f"--against {name}: its model was exported without ranks of users; export it again")
    return places[0]


def _value(sweep: ComparedSweep, part: Part, metric: str) -> str:
    """Return a metric of the exported model: mean and standard deviation for several seeds."""
    results, values = sweep.results, measured(sweep.results, part)
    if metric in results.get("seeds", {}).get(part, {}):
        return mean_sd(results["seeds"][part][metric])
    if metric in values:
        return f"{values[metric]:.4f}"
    # A cutoff that was not evaluated can be read off the ranks.
    accuracy = metric.partition("@")[0] in ACCURACY
    return f"{float(sweep.ranks.metric(metric, part).mean()):.4f}" if sweep.ranks is not None and accuracy else "–"


def _setting(settings: Mapping[str, Any], key: str) -> str:
    value = settings.get(key, "–")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _listed(settings: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return those settings that a sweep has, in one line."""
    return ", ".join(f"{key} {_setting(settings, key)}" for key in keys if key in settings)
