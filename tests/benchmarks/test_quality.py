"""Quality results: rows that are trained, what their seeds have reached, how they compare, and what the tables say."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import page
from benchmarks.quality import __main__ as quality
from benchmarks.quality import seeds, train
from benchmarks.quality.published import NDCG10, published
from benchmarks.quality.rows import FILE, chosen, merged, read_rows
from benchmarks.quality.tables import model_lines
from fame.config.tree import read_experiment, write_yaml
from fame.errors import UserError
from fame.evaluation.ranks import Ranks
from tests.commands import TINY, Done, call

ROWS = {
    "datasets": ["synthetic"],
    "rows": {
        "one_expert": {"label": "One expert", "settings": merged(TINY, {"model": {"experts": 1}})},
        "fame_text": {"label": "FAME", "settings": TINY, "synthetic": {"train": {"epochs": 2}}},
    },
}


def trained_rows(folder: Path, *words: str) -> Done:
    file = folder / "rows.yaml"
    if not file.exists():
        file.write_text(write_yaml(ROWS))
    where = ("--folder", folder / "runs", "--file", file, "--results", folder / "results" / "quality")
    return call(train.main, *where, *words)


def summarised(folder: Path) -> Done:
    return call(quality.main, "--file", folder / "rows.yaml", "--results", folder / "results")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results: `one_expert` with two seeds, `fame_text` with one."""
    folder = tmp_path_factory.mktemp("quality")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(folder / "cache"))
        patch.setattr(quality, "CONFIGS", folder / "tuning" / "configs" / "best")
        (folder / "tuning" / "configs").mkdir(parents=True)
        for words in ((":one_expert", "--seeds", "2"), (":fame_text", "--seeds", "1")):
            done = trained_rows(folder, *words)
            assert done.code == 0, done.err
        done = summarised(folder)
        assert done.code == 0, done.err
        assert "\n".join(model_lines(result_of(folder))) in done.out
    return folder


def result_of(folder: Path) -> dict:
    return json.loads((folder / "results" / "quality_synthetic.json").read_text())


@pytest.fixture
def made(trained) -> dict:
    return result_of(trained)


def seed_of(folder: Path, name: str) -> dict:
    return json.loads((folder / "results" / "quality" / "synthetic" / f"{name}.json").read_text())


def test_a_rows_metrics_are_the_mean_over_its_seeds(made, trained):
    entry, values = made["models"][0], [seed_of(trained, f"one_expert-{seed}")["test"] for seed in (0, 1)]
    assert entry["seeds"] == [0, 1]
    for name in ("hr@5", "ndcg@10"):
        assert entry["test"][name]["mean"] == pytest.approx(np.mean([one[name] for one in values]))
        assert entry["test"][name]["sd"] == pytest.approx(np.std([one[name] for one in values], ddof=1))


def test_the_summary_has_each_rows_means_seeds_configuration_and_commit(made, trained):
    summary = json.loads((trained / "results" / "quality_summary.json").read_text())["synthetic"]
    assert list(summary) == ["one_expert", "fame_text"]
    entry, found = made["models"][0], summary["one_expert"]
    assert found["test_ndcg@10"] == entry["test"]["ndcg@10"]["mean"] and found["sd"] == entry["test"]["ndcg@10"]["sd"]
    assert found["kept_test_ndcg@10"] == entry["history_kept"]["test"]["ndcg@10"]["mean"]
    assert found["validation_ndcg@10"] == entry["validation"]["ndcg@10"]["mean"]
    assert (found["seeds"], found["config"]) == (2, "tuning/configs/best/synthetic-one-expert.yaml")
    assert found["commit"] == seed_of(trained, "one_expert-1")["commit"]


def test_under_another_name_there_are_the_tables_alone(trained):
    where = ("--file", trained / "rows.yaml", "--results", trained / "results", "--name", "ablation")
    done = call(quality.main, *where, "--reference", "one_expert")
    assert done.code == 0, done.err
    result = json.loads((trained / "results" / "ablation_synthetic.json").read_text())
    assert (result["benchmark"], result["reference"]) == ("ablation_synthetic", "One expert")
    assert not (trained / "results" / "ablation_summary.json").exists()


def test_the_rows_of_the_ablation_differ_from_the_whole_in_one_part():
    whole, *others = read_rows(FILE.with_name("ablation.yaml"))
    (main,) = (row for row in read_rows() if (row.dataset, row.name) == (whole.dataset, whole.name))
    assert whole.settings == main.settings
    for row in others:
        assert {key: value for key, value in row.settings.items() if key != "model"} == {
            key: value for key, value in whole.settings.items() if key != "model"
        }
        keys = row.settings["model"].keys() | whole.settings["model"].keys()
        assert len([key for key in keys if row.settings["model"].get(key) != whole.settings["model"].get(key)]) == 1


def test_the_rows_of_text_differ_in_the_text_and_the_width_or_in_the_soft_targets():
    rows = {(row.dataset, row.name): row.settings for row in read_rows(FILE.with_name("text.yaml"))}
    main = {(row.dataset, row.name): row.settings for row in read_rows()}
    for dataset in ("beauty", "toys", "sports"):
        for name in ("fame_text", "sasrec_memory_text"):
            small, hard = rows[dataset, f"{name}_256"], rows[dataset, f"{name}_hard"]
            assert rows[dataset, name] == main[dataset, name] != small
            assert hard == {**small, "text": {"plain": True}} != small
        for name in ("sasrec", "bsarec", "fame_bsarec"):
            without_memory, hard = rows[dataset, f"{name}_text_hard"], rows[dataset, "sasrec_memory_text_hard"]
            assert {**without_memory, "model": None} == {**hard, "model": None}


def test_the_summary_is_a_table_of_rows_by_data_set(trained):
    summary = json.loads((trained / "results" / "quality_summary.json").read_text())
    head, _, first, second, *rest = page.markdown({**summary, "other": {}}).splitlines()
    assert head == "| test NDCG@10 | Synthetic | Other |" and not rest
    assert first.startswith("| One expert | 0.") and first.endswith(" (2 seeds) | not trained yet |") and "±" in first
    assert second.endswith(" (1 seed) | not trained yet |") and "±" not in second


def test_rows_are_compared_on_the_mean_over_seeds_of_every_user(made, trained):
    def ndcg(name: str) -> np.ndarray:
        (parts,) = seeds.read(trained / "results" / "quality" / "synthetic" / f"{name}.json").ranks.by_seed.values()
        found = parts["test"].double().numpy()
        return np.where(found < 10, 1 / np.log2(found + 2), 0)

    expected = ((ndcg("one_expert-0") + ndcg("one_expert-1")) / 2 - ndcg("fame_text-0")).mean()
    assert made["reference"] == "FAME" and "against_reference" not in made["models"][1]
    found = made["models"][0]["against_reference"]
    assert found["difference"] == pytest.approx(expected, abs=1e-9)
    assert found["low"] <= found["difference"] <= found["high"] and 0 < found["p"] <= 1


def test_ranking_the_history_as_well_can_only_push_the_target_down(made):
    for entry in made["models"]:
        for part in ("validation", "test"):
            assert entry["history_kept"][part]["hr@20"]["mean"] <= entry[part]["hr@20"]["mean"]


def test_the_kept_configuration_repeats_the_training_and_names_no_place_of_this_machine(trained):
    kept = read_experiment(trained / "tuning" / "configs" / "best" / "synthetic-fame-text.yaml")
    (there,) = trained.glob("runs/synthetic/fame_text-*/seed-0/best/config.yaml")
    experiment = read_experiment(there)
    assert dataclasses.replace(kept, data=experiment.data) == experiment
    assert kept.data.dir is None and kept.train.epochs == 2


def test_a_seed_that_has_its_result_is_not_trained_again_unless_the_row_has_changed(trained, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(trained / "cache"))
    again = trained_rows(trained, "synthetic:fame_text", "--seeds", "1")
    assert again.code == 0 and "has its result in fame_text-0.json" in again.out and "epoch" not in again.out
    other = merged(ROWS, {"rows": {"fame_text": {"synthetic": {"train": {"epochs": 1}}}}})
    (trained / "rows.yaml").write_text(write_yaml(other))
    changed = trained_rows(trained, "synthetic:fame_text", "--seeds", "1")
    assert changed.code == 0 and "epoch   1" in changed.out


def test_seeds_with_different_settings_are_refused(trained, tmp_path):
    folder = tmp_path / "results" / "quality" / "synthetic"
    folder.mkdir(parents=True)
    for seed in (0, 1):
        found = seeds.read(trained / "results" / "quality" / "synthetic" / f"one_expert-{seed}.json")
        content = json.loads(json.dumps(found.content))
        content["configuration"]["train"]["lr"] = 0.1 * (seed + 1)
        seeds.write(folder / f"one_expert-{seed}.json", content, found.ranks)
    (tmp_path / "rows.yaml").write_text(write_yaml(ROWS))
    done = summarised(tmp_path)
    assert done.code == 2 and "one_expert: seeds 0, 1 have different settings" in done.err


def test_the_rows_of_the_paper_are_experiments_on_all_data_sets():
    rows = read_rows()
    assert {row.dataset for row in rows} == {"beauty", "toys", "sports"}
    for row in rows:
        assert row.experiment(seed=3).seed == 3
    shared = {(row.name, row.dataset): row.settings for row in rows}
    for (name, dataset), settings in shared.items():
        # Settings by data set: those that RecBoard publishes, fewer epochs of the largest set, names of columns.
        free = {"train": {"epochs": None}, "text": {"facets": None}}
        same = merged(settings, free) == merged(shared[name, "beauty"], free)
        assert name == "bsarec_recipe" or same, dataset


def test_rows_are_chosen_by_data_set_by_name_or_by_both():
    rows = read_rows()
    assert {row.dataset for row in chosen(rows, ["toys"])} == {"toys"}
    assert [row.dataset for row in chosen(rows, [":bsarec_recipe"])] == ["beauty", "toys", "sports"]
    assert len(list(chosen(rows, ["toys:bsarec_recipe"]))) == 1 and list(chosen(rows, [])) == rows
    with pytest.raises(UserError, match="toys:bsarec: no such row: did you mean"):
        list(chosen(rows, ["toys:bsarec"]))


def test_a_section_that_is_no_data_set_is_refused(tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text(write_yaml(merged(ROWS, {"rows": {"fame_text": {"synthetics": {}}}})))
    with pytest.raises(UserError, match="row fame_text: 'synthetics': did you mean"):
        read_rows(path)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.integers(0, 3))
def test_kept_ranks_have_the_metrics_of_the_ranks_that_they_were(halves, seed):
    ranks = {part: torch.tensor(halves, dtype=torch.float32) / 2 for part in ("validation", "test")}
    written = Ranks(fingerprint="abc", rules={"exclude_seen": True}, by_seed={seed: ranks})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row-0.json"
        seeds.write(path, {"seed": seed}, written)
        read = seeds.read(path)
    assert (read.seed, read.ranks.fingerprint, read.ranks.rules) == (seed, "abc", written.rules)
    for name in ("hr@1", "hr@20", "ndcg@10", "ndcg@20"):
        assert torch.equal(read.ranks.metric(name, "test"), written.metric(name, "test"))


def test_tables_show_values_with_their_spread_and_the_ratio_to_what_is_published(made):
    made["models"][0]["published"] = {"value": made["models"][0]["test"]["ndcg@10"]["mean"] / 2, "source": "a paper"}
    lines = page.markdown(made).splitlines()
    assert lines[0].startswith("| model | seeds | validation | test | published |")
    assert "± " in lines[2] and "(a paper) | 2.00 |" in lines[2]
    assert "±" not in lines[3]
    assert lines[-1].startswith("`python") and "commit" in lines[-1]


def test_a_model_that_nobody_else_has_stands_beside_the_best_published():
    assert published("beauty", "fame") == (0.0593, "FAME, Table 2")
    best = {name: published(name, "fame_bsarec") for name in NDCG10}
    assert best == {
        "beauty": (0.0610, "the best, RecBoard"),
        "sports": (0.0348, "the best, RecBoard"),
        "toys": (0.0681, "the best, FAME, Table 2"),
    }
    assert published("ml-1m", "fame") is None
