"""A resolved experiment repeats elsewhere: what data and machine decide is written out."""

from __future__ import annotations

import dataclasses

import pytest

from fame.config import EvaluateConfig
from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from fame.errors import UserError
from fame.training.resolve import resolve
from tests.fame.helpers import CPU


def test_data_precision_and_threads_are_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("FAME_DATA", str(tmp_path))
    size = {"users": 50, "items": 40, "length": 8}
    plain = experiment_from_dict({"data": {"name": "synthetic", "size": size, "max_length": 5}})
    dataset = load_dataset(plain.data)
    found = resolve(plain, dataset, CPU, 3)
    assert (found.data.fingerprint, found.data.max_length) == (dataset.fingerprint, 5)
    assert None not in (found.data.core, found.data.recipe, found.data.min_history)
    assert found.train.precision in ("float32", "bfloat16") and found.train.threads == 3
    assert resolve(found, dataset, CPU, 3) == found
    unknown = dataclasses.replace(plain, evaluate=EvaluateConfig(diversity="colour"))
    with pytest.raises(UserError, match=r"evaluate.diversity = 'colour'"):
        resolve(unknown, dataset, CPU, 3)
