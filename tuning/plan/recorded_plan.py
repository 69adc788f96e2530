"""The plan of a sweep that was started before, from its record."""

from __future__ import annotations

import dataclasses
from typing import Any

from fame.errors import UserError
from tuning.plan.options import DATA_OPTIONS, LIMITS, PLACE, REMOVED, Options, flag
from tuning.plan.sweep_plan import Plan
from tuning.space.file import space_from_dict
from tuning.study.lessons import Lesson


def plan_from_record(record: dict[str, Any], options: Options, given: dict[str, Any]) -> Plan:
    """Return the plan of a sweep that was started before.

    Raises `UserError` if an option given now contradicts it.
    """
    source = f"the record of sweep '{options.name}'"
    place = {key: getattr(options, key) for key in PLACE}
    try:
        # Records of earlier versions have other options.
        found = {"experiment": None} | {key: value for key, value in record["options"].items() if key not in REMOVED}
        lists = {"set": tuple(found["set"]), "limits": tuple(found.get("limits", ()))}
        recorded = Options(**{**found, **lists}, **place)
        space, trials, fingerprint = record["space"], record["trials"], record["fingerprint"]
    except (KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{source} is damaged, or of another version ({reason}); start another sweep") from None
    before = _by_option(dataclasses.asdict(recorded))
    limits = {key: given[key] for key in LIMITS if key in given}
    for option, value in _by_option({key: value for key, value in given.items() if key not in LIMITS}).items():
        if value != before.get(option):
            was = f"with {_shown(before[option])}" if before.get(option) not in (None, ()) else "without it"
            raise UserError(
                f"{option} {_shown(value)}: the sweep was started {was}; "
                "leave the option out, or start another sweep with another --name"
            )
    plan = Plan(
        options=recorded,
        space=space_from_dict(space, source),
        trials=trials,
        expected=record.get("expected"),
        extended=record.get("extended", 0),
        lessons=tuple(Lesson(**lesson) for lesson in record.get("lessons", ())),
        fingerprint=fingerprint,
    )
    return plan.extended_by(limits) if limits else plan


def _by_option(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that define a sweep, by the option's name."""
    data = {DATA_OPTIONS[key]: value for key, value in options.get("data", {}).items()}
    others = {key: value for key, value in options.items() if key not in (*PLACE, "data")}
    return data | {flag(key): value for key, value in others.items()}


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
