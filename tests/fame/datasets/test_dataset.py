"""A dataset: its configuration, its fingerprint, and its counts."""

from __future__ import annotations

import dataclasses

import pytest

from fame.config import DataConfig
from fame.config.tree import section_from_dict, to_dict
from fame.errors import UserError
from tests.fame.datasets.files import SMALL, load_config


def test_the_resolved_configuration_loads_the_same_again():
    dataset = load_config()
    again = load_config(section_from_dict(DataConfig, to_dict(dataset.config), "data"))
    assert again.config == dataset.config
    assert None not in (again.config.core, again.config.fingerprint)


def test_another_fingerprint_is_an_error():
    fingerprint = load_config().fingerprint
    other = dataclasses.replace(SMALL, fingerprint="0123456789abcdef")
    with pytest.raises(UserError, match=f"data.fingerprint = 0123456789abcdef: synthetic from .* is {fingerprint}, "):
        load_config(other)


def test_train_counts_leave_out_the_held_out_items(write):
    rows = ["1,1,1", "1,2,2", "1,1,3", "1,3,4", "1,2,5"]
    path = write("a.csv", "user,item,time", *rows)
    dataset = load_config(DataConfig(name="own", path=path, core=1, repeats="keep"))
    assert dataset.train_counts.tolist() == [0, 2, 1, 0]
