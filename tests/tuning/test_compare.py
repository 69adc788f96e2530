"""`python tuning/compare.py` on a database of sweeps whose ranks are known."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from fame.errors import EXIT_USER_ERROR
from tests.tuning.comparison.published import cells, naive_metric, run


def test_two_sweeps_side_by_side(published):
    ours = published.sweep("mine", 0.30, settings={"model.heads": 4, "train.lr": 0.01})
    theirs = published.sweep("theirs", 0.20, model="sasrec", settings={"data.dir": "/elsewhere"}, early=True)
    done = run(published, "mine", "theirs")
    assert (done.code, done.err) == (0, "")
    first, second = (naive_metric(one[0]["test"], "ndcg@10") for one in (ours, theirs))
    validation = naive_metric(ours[0]["validation"], "ndcg@10").mean()
    # 3 + 2 + 1 epochs of 10 s, of which 15 s were taken over.
    assert cells(done.out, "A") == [
        "A", "mine", "fame", "2 finished, 1 stopped", "6", "00:45", f"{validation:.4f}", f"{first.mean():.4f}",
    ]  # fmt: skip
    assert cells(done.out, "B")[3:6] == ["2 finished, 1 stopped", "6", "00:45"]
    assert cells(done.out, "ndcg@10") == ["ndcg@10", f"{first.mean():.4f}", f"{second.mean():.4f}"]
    assert cells(done.out, "model.heads") == ["model.heads", "4", "2"]
    assert cells(done.out, "model.experts") == ["model.experts", "4", "–"]
    assert cells(done.out, "train.lr") == ["train.lr", "0.01", "0.001"]
    assert "data.dir" not in done.out and "train.epochs" not in done.out
    pair = cells(done.out, "A − B")
    assert pair[1] == "A is better"
    assert pair[2] == f"{(first - second).mean():+.4f} ({(first - second).mean() / second.mean():+.1%})"
    low, high = map(float, pair[3].split(" to "))
    reference = stats.bootstrap((first - second,), np.mean, method="percentile", rng=0).confidence_interval
    assert (low, high) == pytest.approx(tuple(reference), abs=0.0015)
    assert pair[4:] == ["0.0001", "0.0001"]


def test_against_what_is_not_there_or_has_no_ranks_is_refused(published):
    published.sweep("one")
    published.sweep("old", with_ranks=False)
    for name, words in (("two", "--against two: must be one of the sweeps, one, old"), ("old", "export it again")):
        done = run(published, "one", "old", "--against", name)
        assert done.code == EXIT_USER_ERROR and words in done.err and done.out == ""


# Refused.


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["x", "--metric", "auc@10"], "metric 'auc@10': must be KIND@K"),
        (
            ["x", "--tracking-uri", "sqlite:///gone.db"],
            "there is no file /\\S+/gone\\.db; run a sweep first, or name another store",
        ),
        (["x", "--tracking-uri", "folder"], "MLflow no longer keeps runs in folders"),
        (["x", "--tracking-uri", "http://127.0.0.1:9"], "is not reachable .*refused"),
    ],
)
def test_bad_input_is_one_line(published, args, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = run(published, *args)
    assert done.code == EXIT_USER_ERROR and re.search(words, done.err), done.err
    assert done.err.count("\n") == 1 and not (tmp_path / "gone.db").exists()


def test_a_page_that_cannot_be_written_is_said(published, tmp_path):
    published.sweep("one")
    done = run(published, "one", "--html", tmp_path / "no" / "page.html")
    assert done.code == EXIT_USER_ERROR and "cannot write" in done.err and "No such file" in done.err
