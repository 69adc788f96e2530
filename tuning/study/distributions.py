"""Optuna's distributions for the domains of a search space."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning.space import Space
from tuning.space.domains import Domain


def distribution(domain: Domain) -> BaseDistribution:
    """Return Optuna's distribution for a domain of the search space."""
    kinds = {"categorical": CategoricalDistribution, "int": IntDistribution, "float": FloatDistribution}
    return kinds[domain.kind](**domain.arguments())


def distributions(space: Space, keys: Iterable[str]) -> dict[str, BaseDistribution]:
    """Return the distributions of some keys of a search space."""
    return {key: distribution(space.search[key].domain) for key in keys}
