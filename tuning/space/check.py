"""Checks of a search space before a sweep starts. Each finding is a `UserError`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fame.errors import UserError, nearest
from tuning.space.domains import Condition, is_number
from tuning.space.space import Space

DRAWS = 5_000
"""Random configurations among which a space too large to list must have an allowed one."""
COMPLETIONS = 200
"""Random configurations around a value among which the experiment must accept one."""

INCOMPARABLE = ("model.name", "train.metric", "train.validation_users", "evaluate.", "data.")
"""Keys (or sections) that decide what a trial is measured by."""
COMPARABLE = ("data.max_length",)
"""Keys below INCOMPARABLE that do not: the same targets are ranked whatever part of a history is seen."""


def check_keys(space: Space) -> None:
    """Check the names and relations of keys, conditions and constraints."""
    _check_base(space)
    known_so_far = set(space.fixed)
    for key in space.search:
        with inside(space.place(key)):
            _check_key(space, key, known_so_far)
        known_so_far.add(key)
    _check_constraints(space)


def check_values(space: Space) -> None:
    """Each end and choice must be a value that some experiment of the model accepts.

    That experiment may have another `base`, and a constraint of the space may exclude it. For example, a width that is
    fixed on the command line leaves only some numbers of heads. The others are allowed here, and never proposed.
    """
    rng = random.Random(0)
    plain = replace(space, base={"model": {"name": space.model}})
    for key, parameter in space.search.items():
        for value in parameter.domain.ends():
            problem = plain.config_problem({key: value})
            if not problem:
                continue
            # Alone it may break a rule that it keeps together with others (heads of another width).
            points = [_any_point(space, rng) | {key: value} for _ in range(COMPLETIONS)]
            points = [point for point in points if not space.constraint_problem(point)]
            if points and all(map(space.config_problem, points)):
                raise UserError(f"{space.place(key)}: {problem}")


def require_known(space: Space, key: str) -> None:
    if key not in space.defaults:
        section = [name for name in space.defaults if name.split(".")[0] == str(key).split(".")[0]]
        raise UserError(f"unknown key '{key}' of model '{space.model}': {nearest(key, section or space.defaults)}")


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Say in which part of the file a `UserError` arose."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _check_base(space: Space) -> None:
    """`base` alone may break a rule only if the searched keys can mend it (heads of another width)."""
    rng = random.Random(0)
    problem = space.config_problem({})
    if problem and all(space.config_problem(_any_point(space, rng)) == problem for _ in range(COMPLETIONS)):
        raise UserError(f"{space.source}: base: {problem}")


def _check_key(space: Space, key: str, known_so_far: set[str]) -> None:
    parameter = space.search[key]
    require_known(space, key)
    if "." not in str(key):
        sections = ", ".join(sorted({name.partition(".")[0] for name in space.defaults if "." in name}))
        raise UserError(
            f"is no key of a section ({sections}), and the sweep sets it for all trials: take it out"
            + ("; --seed sets it, and --final-seeds trains the best again with several" if key == "seed" else "")
        )
    if key not in COMPARABLE and key.startswith(INCOMPARABLE):
        raise UserError("trials that differ in it cannot be compared: set it in 'base' instead")
    if key in space.fixed and not parameter.when:
        raise UserError("is set in 'base' too, which would be ignored: take one of them out")
    for condition in parameter.when:
        require_known(space, condition.key)
        if condition.key not in known_so_far:
            remedy = "move it up" if condition.key in space.search else "set it in 'base' or search it"
            raise UserError(f"when: '{condition.key}' must come before '{key}': {remedy}")
        _check_condition(space, condition)


def _check_condition(space: Space, condition: Condition) -> None:
    if condition.key not in space.search:
        if not condition.holds(space.fixed[condition.key]):
            raise UserError(f"when: '{condition}' cannot hold: it is {space.fixed[condition.key]!r} in 'base'")
        return
    domain = space.search[condition.key].domain
    if condition.relation == "in":
        possible = all(value in domain for value in condition.value)
    else:
        possible = any(map(condition.holds, domain.ends()))
    if not possible:
        raise UserError(f"when: '{condition}' cannot hold: {condition.key} is in {domain}")


def _check_constraints(space: Space) -> None:
    values = space.defaults | space.fixed
    for constraint in space.constraints:
        with inside(f"{space.source}: constraint '{constraint}'"):
            for key in constraint.names():
                require_known(space, key)
                ends = space.search[key].domain.ends() if key in space.search else (values[key],)
                if constraint.relation not in ("==", "!=") and not all(map(is_number, ends)):
                    raise UserError(f"{key} must be a number; it can be {', '.join(map(repr, ends))}")


def check_possible(space: Space) -> None:
    """Some configuration must be allowed."""
    rng = random.Random(0)
    candidates = space.points() if space.is_small() else (space.draw(rng) for _ in range(DRAWS))
    problems: Counter[str] = Counter()
    for point in candidates:
        if (problem := space.problem(point)) is None:
            return
        problems[problem] += 1
    (problem, _), tried = problems.most_common(1)[0], "" if space.is_small() else "random "
    raise UserError(
        f"{space.source}: impossible space: none of {problems.total():,} {tried}configurations is allowed, "
        f"most often because {problem}"
    )


def _any_point(space: Space, rng: random.Random) -> dict[str, object]:
    """A value for every searched key, whether or not its conditions hold."""
    return {key: parameter.domain.draw(rng) for key, parameter in space.search.items()}
