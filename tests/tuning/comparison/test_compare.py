"""`python tuning/compare.py` on a database of sweeps whose ranks are known."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from scipy import stats

from fame.errors import EXIT_USER_ERROR
from tests.commands import Done, call
from tests.tuning.comparison.published import Published, naive_metric
from tuning import compare


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without sweeps: to make one takes seconds, to copy it none."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def published(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    shutil.copy(empty, tmp_path)
    return Published(tmp_path)


def run(published: Published, *args: object) -> Done:
    return call(compare.main, "--tracking-uri", published.uri, *args)


def cells(out: str, first: str) -> list[str]:
    """The cells of the row of a table that begins with a text."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    (row,) = [row for row in rows if row[0] == first]
    return row


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


def test_unequal_budgets_are_a_warning(published):
    for name, epochs in {"long": 14, "short": 3, "same": 4}.items():
        published.sweep(name, 0.2, epochs=epochs)
    words = "budgets differ: long has 39 epochs, short has 6; give the sweeps the same --trials and --epochs"
    assert words in run(published, "long", "short").out and "budgets differ" not in run(published, "same", "short").out


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


def test_against_what_is_not_there_or_has_no_ranks_is_refused(published):
    published.sweep("one")
    published.sweep("old", with_ranks=False)
    for name, words in (("two", "--against two: must be one of the sweeps, one, old"), ("old", "export it again")):
        done = run(published, "one", "old", "--against", name)
        assert done.code == EXIT_USER_ERROR and words in done.err and done.out == ""


def test_another_metric_by_which_they_were_not_evaluated_is_read_off_the_ranks(published):
    found = published.sweep("mine", 0.3)
    out = run(published, "mine", "--metric", "hr@3").out
    expected = naive_metric(found[0]["test"], "hr@3").mean()
    assert cells(out, "A")[-1] == f"{expected:.4f}"


def test_several_seeds_are_mean_and_standard_deviation_and_users_are_compared_by_their_means(published):
    ours = published.sweep("seeds", 0.3, seeds=(1, 2, 3))
    theirs = published.sweep("single", 0.2)
    out = run(published, "seeds", "single").out
    values = [naive_metric(parts["test"], "ndcg@10") for parts in ours.values()]
    means = [one.mean() for one in values]
    assert cells(out, "A")[-1] == f"{np.mean(means):.4f} ± {np.std(means, ddof=1):.4f}"
    difference = np.mean(values, axis=0) - naive_metric(theirs[0]["test"], "ndcg@10")
    assert cells(out, "A − B")[2].startswith(f"{difference.mean():+.4f} ")


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


def test_many_sweeps_stand_one_below_the_other(published):
    names = [f"sweep{place}" for place in range(8)]
    for place, name in enumerate(names):
        published.sweep(name, 0.2 + place / 100, settings={"train.lr": (place + 1) / 100})
    done = run(published, *names, "--against", "sweep0")
    assert done.code == 0 and "setting " not in done.out
    tables = {title: done.out.partition(title)[2] for title in ("Test metrics", "Settings that differ")}
    for place, letter in enumerate("ABCDEFGH"):
        assert cells(tables["Settings that differ"], letter) == [letter, f"train.lr {(place + 1) / 100:.3g}"]
        metrics = tables["Test metrics"].partition("Settings that differ")[0]
        assert len(cells(metrics, letter)) == 1 + 2  # of METRICS: a column for each, whatever the number of sweeps


def test_a_page_has_it_all_and_needs_no_network(published, tmp_path):
    published.sweep("<b>mine", 0.3, settings={"model.heads": 4})
    published.sweep("theirs", 0.2)
    done = run(published, "<b>mine", "theirs", "--html", tmp_path / "page.html")
    assert done.code == 0 and f"page    {tmp_path / 'page.html'}" in done.out
    page = (tmp_path / "page.html").read_text()
    for words in (
        "&lt;b&gt;mine",
        "model.heads",
        "A − B",
        "A is better",
        'class="track clear"',
        "Settings that differ",
    ):
        assert words in page
    assert "<b>mine" not in page
    assert not re.search(r"""(src|href)\s*=|https?://|@import|url\(""", page)


# Refused.


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


def test_without_ranks_there_is_a_table_and_a_word_but_no_test(published):
    published.sweep("new")
    published.sweep("old", with_ranks=False, settings={"train.lr": 0.1})
    done = run(published, "new", "old")
    assert done.code == 0 and "user by user" not in done.out
    assert "old: its model was exported without ranks of users, so no test" in done.out


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
