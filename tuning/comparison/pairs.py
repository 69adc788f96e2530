"""Compares exported models on the same users, and checks that they may be compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fame.datasets.sequences import Part
from fame.errors import UserError
from fame.evaluation.ranks import Ranks
from fame.evaluation.significance import bootstrap_interval, holm, permutation_test
from tuning.comparison.sweeps import ComparedSweep

PART: Part = "test"
"""Users are compared by their test items. Validation chose the models."""


class Ranked(Protocol):
    """Something with ranks of users: a sweep's model, for example."""

    @property
    def ranks(self) -> Ranks | None: ...


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The first sweep's model against the second's."""

    first: int
    second: int
    """Places in the list of sweeps."""
    difference: float
    """Difference of the means over users; positive if the first is better."""
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    p_holm: float
    """Adjusted for all pairs."""
    users: int


def check_comparable(sweeps: Sequence[ComparedSweep]) -> None:
    """Raise `UserError` unless all sweeps were evaluated on the same data by the same rules, as far as known."""
    first = sweeps[0]
    for other in sweeps[1:]:
        names = f"'{first.name}' and '{other.name}' cannot be compared"
        if other.fingerprint != first.fingerprint:
            data = " and ".join(f"{one.fingerprint} ({_data(one)})" for one in (first, other))
            raise UserError(f"{names}: their data differ, fingerprints {data}; name sweeps of the same prepared data")
        rules, others = _rules(first), _rules(other)
        for key in rules.keys() & others.keys():
            if rules[key] != others[key]:
                raise UserError(
                    f"{names}: they were evaluated by different rules, {key} is {rules[key]} and {others[key]}; "
                    "name sweeps that agree in it"
                )


def compare(sweeps: Sequence[Ranked], metric: str, against: int | None = None) -> list[Pair]:
    """Compare all pairs of sweeps with ranks on the test items of all users.

    With `against`, compare all others with that one sweep. Fewer tests need less adjustment.
    """
    values = {
        place: one.ranks.metric(metric, PART).numpy() for place, one in enumerate(sweeps) if one.ranks is not None
    }
    if against is None:
        pairs = list(itertools.combinations(values, 2))
    else:
        pairs = [(place, against) for place in values if place != against and against in values]
    differences = [values[first] - values[second] for first, second in pairs]
    p_values = [permutation_test(one) for one in differences]
    intervals = [bootstrap_interval(one) for one in differences]
    return [
        Pair(
            first=first,
            second=second,
            difference=float(one.mean()),
            low=low,
            high=high,
            p=p,
            p_holm=adjusted,
            users=len(one),
        )
        for (first, second), one, (low, high), p, adjusted in zip(
            pairs, differences, intervals, p_values, holm(p_values), strict=True
        )
    ]


def _data(sweep: ComparedSweep) -> str:
    data = sweep.results["dataset"]
    split = data["statistics"].get("split", {}).get("by")
    by = f", split by {split}" if split else ""
    return f"{data['name']}, recipe {data['recipe']}, {data['statistics']['users']:,} users{by}"


def _rules(sweep: ComparedSweep) -> Mapping[str, Any]:
    """Return the rules of a model's evaluation. An older export has those of its configuration only."""
    if sweep.ranks is not None:
        return sweep.ranks.rules
    return {"exclude_seen": sweep.settings["evaluate.exclude_seen"]}
