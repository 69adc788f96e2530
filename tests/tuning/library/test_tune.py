"""`tune`: keywords become the command's options, and leave the same record."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pandas as pd
import pytest

import fame
from fame import UserError
from tests.commands import call
from tuning import command, tune
from tuning.library.run import planned
from tuning.library.tune import options_of
from tuning.plan.command_line import parse

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("module_cache")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fame.Dataset:
    monkeypatch.chdir(tmp_path)
    rows = [(f"c{user}", f"SKU,{(user + step) % 12}", step) for user in range(20) for step in range(6)]
    clicks = pd.DataFrame(rows, columns=["the customer", "sku", "when"])
    products = pd.DataFrame({"sku": [f"SKU,{n}" for n in range(12)], "Name": "A product", "Kind": ["a", "b"] * 6})
    roles = {"user": "the customer", "item": "sku", "time": "when"}
    return fame.Dataset.from_pandas(clicks, **roles, items=products, title="Name", facets=["Kind"], name="shop", core=2)


def test_keywords_leave_the_record_that_the_command_leaves(data):
    keywords = {"model": "sasrec", "trials": 4, "epochs": 2, "seed": 3, "name": "s", "dim": 16, "quiet": True}
    plan, storage = planned(*options_of(data, {**keywords, "text": {"epochs": 0}}))
    config = data.config
    words = [
        "--data",
        config.path,
        "--columns",
        "user=the customer,item=sku,time=when,title=Name",
        "--items",
        config.items,
    ]
    words += ["--dataset", "shop", "--facets", "Kind", "--model", "sasrec", "--trials", "4", "--epochs", "2"]
    words += ["--seed", "3", "--name", "s", "--set", "data.core=2", "--set", "model.dim=16", "--set", "text.epochs=0"]
    typed, there = planned(*parse([*words, "--quiet"]))
    assert plan.to_record("f") == typed.to_record("f")
    assert storage == there
    assert plan.options.quiet and plan.experiment.data.core == 2


def test_what_the_recipe_says_anyway_is_not_fixed():
    plain = fame.Dataset.named("synthetic", size={"users": 40, "items": 30})
    options, given = options_of(plain, {"model": "fame"})
    assert options.data == given["data"] == {"data.name": "synthetic"}
    assert options.register and not options_of(plain, {"register": False, "quiet": False})[0].register
    (size,) = options.set
    assert size.startswith('data.size={"users": 40, "items": 30, ')
    assert options_of(fame.Dataset.named("ml-latest-small"), {"model": "fame"})[0].set == ()
    # A setting that the model of the space has, and FAME has not.
    assert "model.alpha=0.3" in options_of(plain, {"space": "bsarec", "alpha": 0.3})[0].set


def test_a_sweep_goes_on_with_its_own_settings_and_data_alone(data):
    keywords = {"model": "sasrec", "trials": 4, "dim": 16, "name": "s"}
    plan, storage = planned(*options_of(data, keywords))
    storage.create(plan.to_record(data.fingerprint))
    for again in ({"name": "s"}, {}, keywords, {"name": "s", "dim": 16}):
        same, there = planned(*options_of(data, {**again, "resume": True}))
        assert (same.space, same.trials, there.name) == (plan.space, 4, "s")
    with pytest.raises(UserError, match="--scheduler median: the sweep was started"):
        planned(*options_of(data, {"scheduler": "median", "resume": True}))
    with pytest.raises(UserError, match=r"resume: sweep 's' has other data than these; give its data"):
        tune(fame.Dataset.named("synthetic", size={"users": 40, "items": 30}), name="s", resume=True)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"trials": 0}, "--trials 0: must be at least 1"),
        ({"scheduler": "ahsa"}, "--scheduler ahsa: did you mean 'asha'?"),
        ({"trials": "many"}, "--trials 'many': must be a whole number"),
        ({"trails": 3}, "unknown setting 'trails': did you mean 'trials'?"),
        ({"haeds": 3}, "unknown setting 'haeds': did you mean 'heads'?"),
        ({"model": "fmae"}, "unknown model 'fmae': did you mean 'fame'?"),
        ({"space": "nowhere.yaml"}, "nowhere.yaml"),
        ({"name": "a/b"}, "--name 'a/b': must be a plain folder name"),
        ({"dry_run": True}, "unknown setting 'dry_run': "),
        ({"trainer": "torch"}, "trainer: there is no such option any more; leave it out: every sweep keeps"),
        ({"resume": True}, "--resume: there is no sweep under runs; start one without --resume"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anything_starts(data, keywords, words):
    with pytest.raises(UserError) as caught:
        tune(data, **keywords)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert not Path("runs").exists()


def test_other_data_and_other_threads_are_refused(data):
    with pytest.raises(UserError, match="data is a str; give"):
        tune("clicks.csv")
    refused = []

    def elsewhere() -> None:
        with pytest.raises(UserError, match="tune runs in the main thread alone"):
            tune(data)
        refused.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert refused


SCRIPT = """
import fame
from tuning import open_sweep, tune

data = fame.Dataset.named("synthetic", size={"users": 60, "items": 40})
fixed = dict(space="quick", epochs=1, dim=16, backbone={"epochs": 0}, precision="float32", quiet=True)
first = tune(data, name="first", trials=2, **fixed)
second = tune(data, name="second", trials=1, **fixed)
assert len(first.trials) == len(open_sweep("first").trials) == 2 and len(second.trials) == 1
assert first.best_model.data is data
assert len(first.best_model.recommend(users=data.users[:3], k=2)) == 6
again = tune(data, name="first", resume=True)
assert tune(data, name="first", trials=2, **fixed, resume=True).trials.equals(again.trials)
assert again.trials["trial"].tolist() == first.trials["trial"].tolist()
assert repr(first.report()) == "Page('runs/first/report.html')"
print(first)
"""


@pytest.mark.slow
def test_a_script_runs_two_sweeps_and_goes_on_with_one(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="fr-", dir="/tmp") as ray:  # Ray's sockets need short paths
        for name, value in {"FAME_DATA": tmp_path / "cache", "RAY_TMPDIR": ray, "PYTHONPATH": ROOT}.items():
            monkeypatch.setenv(name, str(value))
        (tmp_path / "script.py").write_text(SCRIPT)
        done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Sweep(first: 2 trials, best ndcg@10 0.")
    monkeypatch.chdir(tmp_path)
    assert call(command.main, "report", "first").out == "report  runs/first/report.html\n"


def test_aims_and_limits_are_lists_or_texts() -> None:
    data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
    for metric, limits in (("ndcg@10,gini@10", "parameters < 9"), (["ndcg@10", "gini@10"], ["parameters < 9"])):
        options, _ = options_of(data, {"metric": metric, "limits": limits})
        assert (options.aims, options.limits) == (("ndcg@10", "gini@10"), ("parameters < 9",))
