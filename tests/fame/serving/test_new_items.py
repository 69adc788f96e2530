"""New items by their text: they are recommended, read, filtered, served and exported like the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet

import fame
from fame import explain, export, recommend, train
from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config.tree import experiment_from_dict
from fame.models.sasrec import SASRec
from fame.serving.exported import EVALUATED, TEXT_MAP, WEIGHTS, load_model
from fame.serving.recommender import load_recommender
from tests.commands import Done, call, write_config, write_lines

KINDS = ("tea", "soap", "lamp")
WORDS = {
    "tea": ["green tea leaves", "black tea bags", "herbal tea"],
    "soap": ["hand soap", "liquid soap", "bar of soap with lavender"],
    "lamp": ["desk lamp", "floor lamp", "led lamp with dimmer"],
}
ITEMS = [f"{kind}-{n:02}" for kind in KINDS for n in range(10)]
NEW = ["tea-new", "soap-new", "lamp-new"]


def item_line(item: str, n: int) -> str:
    kind = item.partition("-")[0]
    return f"{item},{WORDS[kind][n % 3]} number {n},{kind}"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data whose users stay with one kind, a model that started from text and was trained once more, and new items."""
    folder = tmp_path_factory.mktemp("new-items")
    kinds = [[item for item in ITEMS if item.startswith(kind)] for kind in KINDS]
    rows = [f"u{u:02},{kinds[u % 3][(u + 3 * t) % 10]},{t}" for u in range(60) for t in range(8)]
    write_lines(folder / "clicks.csv", "user,item,time", *rows)
    write_lines(folder / "items.csv", "item,title,kind", *(item_line(item, n) for n, item in enumerate(ITEMS)))
    write_lines(folder / "new.csv", "item,title,kind", *(item_line(item, n) for n, item in enumerate(NEW)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(folder / "cache"))
        for name, text in {"best": {"plain": True}, "other": {}}.items():
            config = write_config(
                folder / f"{name}.yaml", data={"size": None, "core": 1}, text=text, train={"epochs": 4}
            )
            files = ["--data", folder / "clicks.csv", "--items", folder / "items.csv", "--refit"]
            done = call(train.main, "--config", config, *files, "--dataset", "shop", "--output", folder / name)
            assert done.code == 0, done.err
    shutil.rmtree(folder / "cache" / "prepared")
    for name in ("clicks.csv", "items.csv"):  # the exported folder is enough
        (folder / name).unlink()
    return folder


@pytest.fixture(autouse=True)
def cache(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", str(work / "cache"))


@pytest.fixture
def best(work: Path) -> Path:
    return work / "best" / "best"


def ask(work: Path, *args: object) -> Done:
    return call(recommend.main, "--model", work / "best" / "best", *args)


def test_a_new_item_is_placed_among_its_kind(work, best, tmp_path):
    done = call(export.main, best, "--items", work / "new.csv", "--out", tmp_path / "more")
    assert done.code == 0, done.err
    assert done.out == f"wrote   {tmp_path / 'more'}: the model with 3 new items, placed by their text\n"
    before, after = (load_model(folder) for folder in (best, tmp_path / "more"))
    assert after.catalogue.ids == [*before.catalogue.ids, "lamp-new", "soap-new", "tea-new"]
    assert after.catalogue.titles[-1] == "green tea leaves number 0" and after.catalogue.columns["kind"][-1] == "tea"
    table_VD = after.model.item_table()
    assert torch.equal(table_VD[:30], before.model.item_table())
    kinds = np.array([id.partition("-")[0] for id in after.catalogue.ids])
    for row, kind in zip(table_VD[30:], kinds[30:], strict=True):
        near = torch.cosine_similarity(table_VD[:30] - table_VD[:30].mean(0), row - table_VD[:30].mean(0))
        assert near[kinds[:30] == kind].mean() > near[kinds[:30] != kind].mean() + 0.2


def test_both_files_of_weights_know_it_and_what_holds_the_old_table_is_gone(work, best, tmp_path):
    copy = shutil.copytree(best, tmp_path / "best")
    (copy / "model.onnx").touch()
    assert call(export.main, copy, "--items", work / "new.csv").code == 0
    target = tmp_path / "best-items"
    assert not (target / "model.onnx").exists() and (copy / "model.onnx").exists()
    assert len(load_model(target, EVALUATED).catalogue.ids) == 33
    metrics = json.loads((target / "metrics.json").read_text())
    assert metrics["new_items"]["count"] == 3
    assert "**3 items were added after the training**" in (target / "README.md").read_text()
    users = load_recommender(target).users
    assert users[0].tolist() == load_recommender(best).users[0].tolist()
    write_lines(tmp_path / "later.csv", "item,title", "lamp-later,another desk lamp")
    assert call(export.main, target, "--items", tmp_path / "later.csv", "--out", tmp_path / "again").code == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())["new_items"]
    assert again == {"count": 4, "weights": metrics["new_items"]["weights"]}
    assert load_model(tmp_path / "again").catalogue.ids[-1] == "lamp-later"


def test_the_command_recommends_it_reads_it_and_filters_by_it(work):
    files = ["--items", work / "new.csv"]
    done = ask(work, "--history", "tea-new,tea-03", "--filter", "kind=soap", "--top", 20, *files)
    assert done.code == 0, done.err
    assert "3 new items, placed by their text\n" in done.err
    assert done.out.startswith("2 items in the history, the last: green tea leaves number 0 → ")
    ids = [line.split()[2] for line in done.out.splitlines()[1:]]
    assert len(ids) == 11 and "soap-new" in ids
    chosen = ask(work, "--user", "u01", "--candidates", "soap-new,tea-new", *files)
    assert [line.split()[2] for line in chosen.out.splitlines()[1:]] == ["soap-new", "tea-new"]
    unknown = ask(work, "--user", "u01", "--candidates", "soap-new")
    assert "1 ids are unknown to the model and left out: soap-new" in unknown.err


def test_many_users_get_it_and_an_explanation_has_it(work, best, tmp_path):
    files = ["--items", work / "new.csv"]
    done = ask(work, "--all-users", "--out", tmp_path / "recs.parquet", "--top", 33, "--seen", *files)
    assert done.code == 0, done.err
    table = parquet.read_table(tmp_path / "recs.parquet")
    assert table.num_rows == 60 * 33 and set(table["item"].to_pylist()) >= set(NEW)
    explained = call(explain.main, "--model", best, "--history", "lamp-new,lamp-01", *files)
    assert explained.code == 0 and "led lamp with dimmer number 2" in explained.out


def test_python_takes_a_table_and_the_copy_can_be_kept(work, best, tmp_path):
    new = pd.read_csv(work / "new.csv").rename(columns={"item": "code"})
    model = fame.load(best).with_items(new, item_id="code")
    found = model.recommend(users=["u01"], k=3, candidates=NEW)
    assert found["item"].tolist()[0] == "soap-new" and len(found) == 3
    assert fame.load(model.save(tmp_path / "kept")).recommend(users=["u01"], k=3, candidates=NEW).equals(found)
    placed = fame.load(best).with_items(work / "new.csv", folder=tmp_path / "more")
    assert placed.folder == tmp_path / "more" and placed.recommend(users=["u01"], k=3, candidates=NEW).equals(found)


def test_a_whole_catalogue_adds_its_new_items(best, tmp_path):
    """Items that the model knows stay as they are, also where the table tells another title."""
    write_lines(tmp_path / "all.csv", "item,title", "tea-01,another title", "lamp-new,a led lamp", "tea-02,green tea")
    done = call(export.main, best, "--items", tmp_path / "all.csv", "--out", tmp_path / "more")
    assert done.code == 0 and "2 of 3 items in" in done.out + done.err
    before, after = load_model(best).catalogue, load_model(tmp_path / "more").catalogue
    assert after.ids == [*before.ids, "lamp-new"] and after.titles[: len(before.ids)] == before.titles


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["item,title", "tea-01,green tea"],
            "the model knows all 1 items already; give items that are new",
        ),
        (["item,title", "x,a", "y,b", "x,c"], "1 of 3 items stand there more than once, 'x' first; leave them out"),
        (["item,title", "x,a lamp", "y,"], "1 of 2 items have no text, 'y' first; the model reads title"),
        (["item,price", "x,3"], "1 of 1 items have no text, 'x' first; the model reads title, description, …"),
        (["item,title"], "has no "),
        (["code,title", "x,a lamp"], "has no item id column"),
    ],
)
def test_what_cannot_be_placed_is_one_line(work, best, tmp_path, lines, words):
    write_lines(tmp_path / "bad.csv", *lines)
    done = call(export.main, best, "--items", tmp_path / "bad.csv", "--out", tmp_path / "more")
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "more").exists()


def test_a_model_without_text_or_of_an_earlier_version_says_what_to_do(work, best, tmp_path):
    done = call(export.main, work / "other" / "best", "--items", work / "new.csv")
    assert done.code == 2 and "did not start from text, so new items have no vectors; train one with --set" in done.err
    copy = shutil.copytree(best, tmp_path / "best")
    tensors, header = load_checkpoint(copy / WEIGHTS)
    save_checkpoint(copy / WEIGHTS, {k: v for k, v in tensors.items() if not k.startswith(TEXT_MAP)}, header)
    done = call(export.main, copy, "--items", work / "new.csv")
    assert done.code == 2 and "was exported by an earlier version; export the model again" in done.err


def test_whole_numbers_stay_whole_numbers(tmp_path):
    data = fame.Dataset.named("synthetic", size={"users": 40, "items": 30})
    model = fame.fit(data, model="sasrec", text={"plain": True}, epochs=1, dim=16, progress=False)
    more = model.with_items(pd.DataFrame({"item_id": [77], "title": ["a new one"]}))
    assert more.recommend(histories=[[77, 3]], k=1, candidates=[4]).item.tolist() == [4]
    assert more.recommender.exported.catalogue.ids[-1] == 77
    with pytest.raises(fame.UserError, match="the id 'x' is none like the model's, which are whole numbers"):
        model.with_items(pd.DataFrame({"item_id": ["x"], "title": ["a new one"]}))


@pytest.mark.parametrize("options", [(), ("--torch-export", "--items", "new.csv")])
def test_options_of_the_export_that_do_not_go_together(best, options):
    done = call(export.main, best, "--item-id", "code", *options)
    assert done.code == 2 and ("export as what?" if not options else "export that one afterwards") in done.err


def test_new_items_have_no_labels(tmp_path):
    tree = {"name": "sasrec", "dim": 8, "heads": 2, "blocks": 1, "inner": 2, "labels": True}
    model = SASRec(experiment_from_dict({"model": tree}).model, 9, 5).eval()
    model.start_from_labels(np.array([[n % 3 + 1] for n in range(9)]))
    before_VD, rows_ND = model.item_table().detach(), torch.randn(2, 8)
    model.add_items(rows_ND)
    assert torch.equal(model.item_table(), torch.cat([before_VD, rows_ND]))
    assert torch.equal(model.item_rows(torch.tensor([3, 11])), torch.stack([before_VD[2], rows_ND[1]]))
