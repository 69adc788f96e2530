"""Registries: names, mistakes, and built-in entries that load when first asked for."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from fame.registry import Registry, models


def test_an_entry_is_found_under_its_name():
    registry: Registry[type] = Registry("thing")

    @registry.register("b")
    class Thing: ...

    registry.register("a")(int)
    assert registry.get("b") is Thing
    assert registry.names() == ["a", "b"]


def test_an_unknown_name_suggests_the_nearest_and_lists_the_known():
    registry: Registry[int] = Registry("dataset")
    registry.register("beauty")(1)
    registry.register("sports")(2)
    with pytest.raises(
        UserError, match=r"^unknown dataset 'beaty': did you mean 'beauty'\? \(known: beauty, sports\)$"
    ):
        registry.get("beaty")
    with pytest.raises(UserError, match=r"^unknown dataset 'qqq': known: beauty, sports$"):
        registry.get("qqq")


def test_a_name_can_be_taken_once():
    registry: Registry[int] = Registry("model")
    registry.register("a")(1)
    with pytest.raises(ValueError, match="model 'a' is registered twice"):
        registry.register("a")(2)


def test_built_in_modules_are_imported_when_first_asked_for():
    registry: Registry[int] = Registry("thing", ["module_that_does_not_exist"])
    registry.register("a")(1)
    for _ in range(2):  # a failed import is not forgotten
        with pytest.raises(ModuleNotFoundError):
            registry.names()


def test_the_models_of_the_paper_are_there():
    assert {"fame", "sasrec"} <= set(models.names())
