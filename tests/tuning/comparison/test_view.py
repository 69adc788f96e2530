"""A comparison on the terminal and as a page."""

from __future__ import annotations

import re

from tests.tuning.comparison.published import cells, naive_metric, run


def test_unequal_budgets_are_a_warning(published):
    for name, epochs in {"long": 14, "short": 3, "same": 4}.items():
        published.sweep(name, 0.2, epochs=epochs)
    words = "budgets differ: long has 39 epochs, short has 6; give the sweeps the same --trials and --epochs"
    assert words in run(published, "long", "short").out and "budgets differ" not in run(published, "same", "short").out


def test_another_metric_by_which_they_were_not_evaluated_is_read_off_the_ranks(published):
    found = published.sweep("mine", 0.3)
    out = run(published, "mine", "--metric", "hr@3").out
    expected = naive_metric(found[0]["test"], "hr@3").mean()
    assert cells(out, "A")[-1] == f"{expected:.4f}"


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


def test_without_ranks_there_is_a_table_and_a_word_but_no_test(published):
    published.sweep("new")
    published.sweep("old", with_ranks=False, settings={"train.lr": 0.1})
    done = run(published, "new", "old")
    assert done.code == 0 and "user by user" not in done.out
    assert "old: its model was exported without ranks of users, so no test" in done.out
