"""Aims and limits of a sweep: `ndcg@10,coverage@10`, `latency_ms < 5`.

The first aim is the sweep's metric. Schedulers, learning curves and the export go by it. A trial's other numbers are those
of the epoch with its best metric, because that epoch's weights are exported.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from fame.config.metrics import ACCURACY, LISTS
from fame.errors import UserError

if TYPE_CHECKING:
    from tuning.study.trials import SweepTrial

T = TypeVar("T")
UNTRAINED = ("parameters", "latency_ms")
"""Numbers that need no training."""
LOWER = ("popularity", "gini", *UNTRAINED)
"""Kinds of numbers of which less is better."""
KINDS = tuple(kind for kind in (*ACCURACY, *LISTS) if kind != "diversity")
"""Kinds of numbers that an epoch can have."""
SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number that a trial must keep."""

    text: str
    name: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Return the limit that `latency_ms < 5` is. Raises `UserError`."""
        found = re.fullmatch(r"\s*([\w@]+)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
        try:
            name, sign, bound = found.groups() if found else ("", "", "nan")
            number = float(bound)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f'--limit {text!r}: must be a number, a sign and a bound, such as "latency_ms < 5"')
        _check(name, f"--limit {text!r}")
        return cls(text=f"{name} {sign} {bound}", name=name, sign=sign, bound=number)

    def excess(self, value: float) -> float:
        """Return by what share of the bound a value breaks the limit: above 0 exactly if it does, as Optuna has it."""
        far = (value - self.bound) * (1 if self.sign[0] == "<" else -1) / (abs(self.bound) or 1.0)
        return min(far, 0.0) if SIGNS[self.sign](value, self.bound) else max(far, 1e-9)

    def __str__(self) -> str:
        return self.text


def aims_of(text: str) -> tuple[str, ...]:
    """Return the aims that `--metric` names. Raises `UserError`. The settings check the first one."""
    names = tuple(name.strip() for name in text.split(","))
    if len(set(names)) < len(names):
        raise UserError(f"--metric {text}: names an aim twice; name each once")
    for name in names[1:]:
        _check(name, f"--metric {text}")
    return names


def direction(aim: str) -> Literal["minimize", "maximize"]:
    """Return what is better of an aim, in Optuna's words."""
    return "minimize" if aim.partition("@")[0] in LOWER else "maximize"


def watched(aims: Sequence[str], limits: Sequence[Limit]) -> tuple[str, ...]:
    """Return the names of the numbers that trials report beside the metric."""
    return tuple(dict.fromkeys((*aims[1:], *(limit.name for limit in limits))))


def broken(limits: Sequence[Limit], numbers: Mapping[str, float]) -> list[str]:
    """Return the limits that a trial's numbers break."""
    return [limit.text for limit in limits if limit.name in numbers and limit.excess(numbers[limit.name]) > 0]


def front(trials: Sequence[SweepTrial], aims: Sequence[str]) -> list[SweepTrial]:
    """Return the Pareto front: trials that keep the limits, and than which none is better in one aim and worse in none.

    The best by the first aim comes first.
    """
    signs = [1 if direction(aim) == "maximize" else -1 for aim in aims]
    having = [(trial, values) for trial in trials if (values := values_of(trial, aims)) is not None]
    return undominated(
        [(tuple(sign * value for sign, value in zip(signs, values, strict=True)), trial) for trial, values in having]
    )


def undominated(scored: Iterable[tuple[tuple[float, ...], T]]) -> list[T]:
    """Return those than which none has a score at least as high everywhere and higher somewhere, the highest first."""
    front: list[tuple[tuple[float, ...], T]] = []
    for score, one in sorted(scored, key=lambda pair: pair[0], reverse=True):  # nobody is dominated by a later one
        if not any(other != score and all(a >= b for a, b in zip(other, score, strict=True)) for other, _ in front):
            front.append((score, one))
    return [one for _, one in front]


def values_of(trial: SweepTrial, aims: Sequence[str]) -> list[float] | None:
    """Return a trial's values by all aims. None if it lacks one."""
    if trial.value is None or any(aim not in trial.numbers for aim in aims[1:]):
        return None
    return [trial.value, *(trial.numbers[aim] for aim in aims[1:])]


def _check(name: str, where: str) -> None:
    """Raise `UserError` for a number that trials do not have."""
    kind, _, k = name.partition("@")
    if name not in UNTRAINED and not (kind in KINDS and k.isascii() and k.isdigit() and int(k) >= 1):
        raise UserError(
            f"{where}: '{name}' must be {' or '.join(UNTRAINED)}, or KIND@K such as coverage@10; kinds are {', '.join(KINDS)}"
        )
