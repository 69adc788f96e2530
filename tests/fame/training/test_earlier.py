"""Going on from an exported model: its weights by the ids of the items, in a training that can be interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

import fame
from fame import train
from fame.serving.exported import EVALUATED, load_model
from tests.commands import Done, call, write_config, write_lines

ITEMS = [f"i{n:02}" for n in range(1, 21)]
NEW = "a-new-one"
"""It sorts before the others, so that every number moves."""
WORDS = ["red", "green", "blue", "soap", "cream", "brush", "small", "large"]


def clicks(items: list[str]) -> pd.DataFrame:
    rows = [(f"u{user:02}", items[(user + step) % len(items)], step) for user in range(24) for step in range(8)]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


@pytest.fixture(scope="module", params=[{}, {"plain": True}], ids=["usual", "text"])
def work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with old and new data, and a model of the old ones that was trained once more on everything."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(folder / "cache"))
        clicks(ITEMS).to_csv(folder / "old.csv", index=False)
        clicks([*ITEMS, NEW]).to_csv(folder / "new.csv", index=False)
        titles = [f"{item},{WORDS[n % 8]} {WORDS[n % 3]} {n}" for n, item in enumerate([*ITEMS, NEW])]
        write_lines(folder / "items.csv", "item,title", *titles)
        config = write_config(folder / "tiny.yaml", data={"max_length": 8, "core": 1}, text=request.param)
        tree = config.read_text().replace("  name: synthetic\n", "").split("  size:")
        config.write_text(tree[0] + tree[1].partition("length: 8\n")[2])
        done = go(folder, config, "old.csv", "--output", folder / "old", "--refit")
        assert done.code == 0, done.err
    return folder


@pytest.fixture(autouse=True)
def cache(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", str(work / "cache"))


def go(folder: Path, config: Path, data: str, *args: object) -> Done:
    return call(train.main, "--config", config, "--data", folder / data, "--items", folder / "items.csv", *args)


def go_on(folder: Path, output: Path, *args: object) -> Done:
    best = folder / "old" / "best"
    return go(folder, best / "config.yaml", "new.csv", "--from", best, "--output", output, *args)


def rows(folder: Path, weights: str) -> dict[object, torch.Tensor]:
    model = load_model(folder, weights)
    return dict(zip(model.catalogue.ids, model.model.item_embedding().weight[1:].detach(), strict=True))


def test_items_are_matched_by_id_and_the_evaluated_weights_are_the_start(work, tmp_path):
    """A rate of next to nothing leaves the start as it is."""
    done = go_on(work, tmp_path, "--set", "train.lr=1e-12")
    assert done.code == 0, done.err
    assert "20 items known, 1 new" in done.out
    before, after = rows(work / "old/best", EVALUATED), rows(tmp_path / "best", "model.safetensors")
    assert set(after) == {*ITEMS, NEW}
    assert all(torch.allclose(before[item], after[item], atol=1e-6) for item in ITEMS)
    assert after[NEW].abs().sum() > 0
    found = json.loads((tmp_path / "best/metrics.json").read_text())["earlier"]
    assert (found["known_items"], found["new_items"]) == (20, 1)


def test_it_goes_on_after_an_interrupt_but_not_without_its_start(work, tmp_path):
    straight = go_on(work, tmp_path / "straight", "--refit")
    assert straight.code == 0, straight.err
    again = go_on(work, tmp_path / "straight")
    assert "is finished already" in again.out
    best = work / "old/best"
    other = go(work, best / "config.yaml", "new.csv", "--output", tmp_path / "straight")
    assert other.code == 2 and "another" in other.err and other.err.count("\n") == 1


def test_another_model_is_one_line(work, tmp_path):
    done = go_on(work, tmp_path, "--set", "model.dim=16")
    assert done.code == 2 and "model.dim = 16" in done.err and done.err.count("\n") == 1
    done = go(work, work / "tiny.yaml", "new.csv", "--from", tmp_path / "nothing", "--output", tmp_path / "out")
    assert done.code == 2 and "holds no exported model" in done.err and not (tmp_path / "out").exists()


def test_python_goes_on_from_a_model(work):
    data = fame.Dataset.from_pandas(clicks([*ITEMS, NEW]), items=pd.read_csv(work / "items.csv"), name="new", core=1)
    model = fame.fit(data, start=work / "old/best", epochs=1, progress=False)
    assert model.metrics["earlier"]["known_items"] == 20
    assert model.experiment.train.epochs == 1
    strangers = fame.Dataset.from_pandas(clicks([f"x{n}" for n in range(20)]), name="x", core=1)
    with pytest.raises(fame.UserError, match="none of the"):
        fame.fit(strangers, start=model)
