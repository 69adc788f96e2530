"""The study's distributions hold the values that the domains of the search space hold."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tests.tuning.search.studies import TREE
from tuning.space.file import space_from_dict
from tuning.study.distributions import distributions


def test_each_kind_of_domain_has_its_distribution() -> None:
    space = space_from_dict(TREE | {"search": TREE["search"] | {"model.experts": {"low": 1, "high": 4}}})
    assert distributions(space, ["model.dim", "train.lr", "model.dropout", "model.experts"]) == {
        "model.dim": CategoricalDistribution([12, 16]),
        "train.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "model.dropout": FloatDistribution(0.1, 0.6, step=0.1),
        "model.experts": IntDistribution(1, 4),
    }
