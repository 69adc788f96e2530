"""Sweeps are found in MLflow by their names, or by that of an experiment."""

from __future__ import annotations

import re

from fame.errors import EXIT_USER_ERROR
from tests.tuning.comparison.published import cells, run


def test_an_experiment_stands_for_all_its_sweeps_but_those_without_a_model(published):
    published.sweep("one")
    published.sweep("two", settings={"train.lr": 0.1})
    published.sweep("open", None)
    published.sweep("elsewhere", experiment="toys", fingerprint="other")
    done = run(published, "beauty")
    assert done.code == 0
    assert [cells(done.out, letter)[1] for letter in "AB"] == ["one", "two"]
    assert "left out: sweep 'open' has exported no model (it is finished)" in done.out


def test_the_same_sweep_is_there_once(published):
    published.sweep("one")
    out = run(published, "one", "beauty", "beauty/one").out
    assert len(re.findall(r"│ one ", out)) == 1


def test_a_name_that_is_not_there_gets_the_nearest(published):
    published.sweep("beauty-fame-1")
    done = run(published, "beauty-fame-2")
    assert done.code == EXIT_USER_ERROR
    assert "no sweep or experiment 'beauty-fame-2'" in done.err and "did you mean 'beauty-fame-1'?" in done.err


def test_a_name_in_two_experiments_is_asked_for(published):
    published.sweep("same")
    published.sweep("same2")
    published.client.set_tag(
        published.client.search_runs(["1"], "tags.sweep = 'same2'")[0].info.run_id, "sweep", "same"
    )
    done = run(published, "same")
    assert done.code == EXIT_USER_ERROR and "write beauty/same or beauty/same" in done.err
