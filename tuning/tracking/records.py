"""What is to be written to MLflow, as plain data.

Each record is a line of JSON in the spool and stands for itself: it may be carried out by another process than
the one that made it, later, and more than once with the effect of once. Times are milliseconds since 1970.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Status = Literal["finished", "pruned", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One write."""

    kind: ClassVar[str]
    when: int

    def line(self) -> str:
        return json.dumps({"kind": self.kind, **dataclasses.asdict(self)}, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class SweepStart(Record):
    """The sweep begins, or goes on: then a tag that was different at first is kept beside its first value."""

    kind = "sweep start"
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class SweepValues(Record):
    """Settings, figures and tags of the sweep."""

    kind = "sweep values"
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SweepFile(Record):
    """A file in the sweep's folder that MLflow gets as an artifact."""

    kind = "sweep file"
    path: str
    """Relative to the spool's folder."""
    folder: str | None
    """Folder among the artifacts; None is their root."""


@dataclass(frozen=True, kw_only=True)
class SweepEnd(Record):
    kind = "sweep end"
    status: Status
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrialStart(Record):
    """A trial begins, or goes on; `tags` are those that a new run gets."""

    kind = "trial start"
    trial: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrialEpoch(Record):
    kind = "trial epoch"
    trial: str
    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrialEnd(Record):
    kind = "trial end"
    trial: str
    status: Status
    name: str
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class OpenTrialsEnd(Record):
    """Trials that still run in MLflow end as `outcomes` says; others were interrupted."""

    kind = "open trials end"
    outcomes: dict[str, Status]


TrialRecord = TrialStart | TrialEpoch | TrialEnd
KINDS = {
    record.kind: record
    for record in (SweepStart, SweepValues, SweepFile, SweepEnd, TrialStart, TrialEpoch, TrialEnd, OpenTrialsEnd)
}


def parse(line: bytes) -> Record:
    """The record of a line. Raises ValueError for one that is damaged, or of another version."""
    values: Any = json.loads(line.decode())
    if not isinstance(values, Mapping) or values.get("kind") not in KINDS:
        raise ValueError("it is no record")
    try:
        return KINDS[values["kind"]](**{key: value for key, value in values.items() if key != "kind"})
    except TypeError as error:
        raise ValueError(str(error)) from None
