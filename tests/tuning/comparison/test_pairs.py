"""Sweeps are compared user by user, with p-values adjusted for all pairs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fame.errors import EXIT_USER_ERROR
from tests.tuning.comparison.published import cells, naive_metric, run


def test_three_sweeps_are_adjusted_for_three_pairs_and_a_tie_is_no_clear_difference(published):
    for name, hits in (("one", 0.2), ("two", 0.2), ("three", 0.26)):
        published.sweep(name, hits, settings={"train.epochs": len(name)})
    ranks = {name: run(published, name) for name in ("one",)}
    assert "user by user" not in ranks["one"].out
    out = run(published, "one", "two", "three").out
    same = cells(out, "A − B")  # the same ranks: nothing differs
    assert same[1:] == ["no clear difference", "+0.0000 (+0.0%)", "+0.0000 to +0.0000", "1.0000", "1.0000"]
    one, two = cells(out, "A − C"), cells(out, "B − C")
    assert one[1] == two[1] == "C is better"
    assert float(one[5]) == pytest.approx(3 * float(one[4]), abs=2e-4)


def test_against_one_sweep_all_others_are_tested_and_nothing_else_is_adjusted_for(published):
    for name, hits in (("one", 0.2), ("two", 0.23), ("three", 0.26)):
        published.sweep(name, hits, settings={"train.epochs": len(name)})
    out = run(published, "one", "two", "three", "--against", "two").out
    assert re.findall(r"^│ ([A-Z] − [A-Z])", out, re.MULTILINE) == ["A − B", "C − B"]
    reversed_, all_pairs = cells(out, "C − B"), cells(run(published, "one", "two", "three").out, "B − C")
    assert reversed_[1] == all_pairs[1] == "C is better" and reversed_[4] == all_pairs[4]
    assert float(reversed_[5]) <= float(all_pairs[5])


def test_several_seeds_are_mean_and_standard_deviation_and_users_are_compared_by_their_means(published):
    ours = published.sweep("seeds", 0.3, seeds=(1, 2, 3))
    theirs = published.sweep("single", 0.2)
    out = run(published, "seeds", "single").out
    values = [naive_metric(parts["test"], "ndcg@10") for parts in ours.values()]
    means = [one.mean() for one in values]
    assert cells(out, "A")[-1] == f"{np.mean(means):.4f} ± {np.std(means, ddof=1):.4f}"
    difference = np.mean(values, axis=0) - naive_metric(theirs[0]["test"], "ndcg@10")
    assert cells(out, "A − B")[2].startswith(f"{difference.mean():+.4f} ")


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        (
            {"fingerprint": "other"},
            r"their data differ, fingerprints abc \(beauty, recipe 5-core, 800 users\) and other",
        ),
        ({"exclude_seen": False}, "evaluated by different rules, exclude_seen is True and False"),
        ({"exclude_seen": False, "with_ranks": False}, "evaluated by different rules, exclude_seen is True and False"),
        ({"metric": "hr@10"}, r"searched by different metrics, hr@10 and ndcg@10; give one with --metric"),
        ({"hits": None}, "sweep 'other' has exported no model"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(published, kwargs, words):
    published.sweep("first")
    published.sweep("other", **kwargs)
    done = run(published, "first", "other")
    assert done.code == EXIT_USER_ERROR and done.out == ""
    assert re.search(words, done.err) and done.err.count("\n") == 1
