"""Writes for a run keep to MLflow's limits, whatever is written."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from tuning.tracking.runs import RunBatch, changed_params, like, milliseconds, shortened, texts


@pytest.mark.parametrize(("params", "metrics", "tags"), [(0, 0, 0), (250, 0, 0), (3, 2500, 120), (100, 1000, 100)])
def test_all_is_sent_once_in_requests_that_are_small_enough(params: int, metrics: int, tags: int) -> None:
    batch, client = RunBatch(params={f"p{k}": "1" for k in range(params)}), Mock()
    batch.tags |= {f"t{k}": "1" for k in range(tags)}
    for step in range(metrics):
        batch.add_metrics({"loss": step / 2}, step, 7)
    batch.send(client, "run")
    sent = [call.kwargs for call in client.log_batch.call_args_list]
    for request in sent:
        assert len(request["params"]) <= 100 and len(request["tags"]) <= 100
        assert 0 < sum(len(entries) for key, entries in request.items() if key != "synchronous") <= 1000
    assert [p.key for request in sent for p in request["params"]] == [f"p{k}" for k in range(params)]
    assert [m.step for request in sent for m in request["metrics"]] == list(range(metrics))
    assert len([tag for request in sent for tag in request["tags"]]) == tags
    assert (batch.params, batch.metrics, batch.tags) == ({}, [], {})


def test_a_number_that_is_not_finite_is_a_tag() -> None:
    batch = RunBatch()
    batch.add_metrics({"loss": math.nan, "ndcg@10": 1.0}, 3, 7)
    assert [(m.key, m.value) for m in batch.metrics] == [("validation/ndcg_10", 1.0)]
    assert batch.tags == {"not_finite.loss": "nan at epoch 3"}


def test_texts_are_valid_and_short_and_a_changed_parameter_is_a_tag() -> None:
    assert texts({"a@b": [1, None], "c": "x" * 9}, 4) == {"a_at_b": "[1,…", "c": "xxx…"}
    assert shortened("x" * 4, 4) == "xxxx"
    assert changed_params({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ({"c": "4"}, {"now.b": "3"})


def test_quotes_become_wildcards_and_times_milliseconds() -> None:
    assert like("sweep", "my 'own' \\ \"x\"") == "tags.sweep LIKE 'my _own_ _ _x_'"
    assert milliseconds(datetime(2020, 1, 1, tzinfo=UTC)) == 1_577_836_800_000
