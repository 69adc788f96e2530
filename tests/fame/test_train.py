"""`python -m fame.train`: trains, goes on, repeats with seeds, and chooses the data it is asked for."""

from __future__ import annotations

import json
import os
import re
import statistics
from pathlib import Path

import pytest

from fame import train
from fame.config.tree import read_experiment, read_yaml
from fame.errors import UserError
from fame.training.fit import fit, read_trained
from tests.commands import Done, call, write_config, write_lines
from tests.fame.helpers import TIMINGS

FOLDER = {"README.md", "config.yaml", "items.json", "metrics.json", "model.safetensors", "ranks.safetensors"} | {
    "users.safetensors"
}


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with `tiny.yaml`."""
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    write_config(folder / "tiny.yaml")
    monkeypatch.chdir(folder)
    return folder


def run(*args: object) -> Done:
    done = call(train.main, *args)
    assert done.code == 0, done.err
    return done


def metrics_of(folder: str | Path) -> dict:
    return json.loads((Path(folder) / "best" / "metrics.json").read_text())


def timeless(metrics: dict) -> dict:
    """Return the parts in which two equal trainings agree."""
    history = [{k: v for k, v in report.items() if k not in TIMINGS} for report in metrics["history"]]
    return {k: v for k, v in metrics.items() if k not in ("provenance", "train_seconds")} | {"history": history}


def settings(*, config: str | None = None, overrides: tuple[str, ...] = (), **data: str):
    args = train.parser().parse_args([])
    vars(args).update(config=Path(config) if config else None, set=list(overrides), **data)
    return train.read_settings(args)


def test_leaves_the_files_of_a_trial_in_a_folder_of_its_own(work):
    done = run("--config", "tiny.yaml")
    (folder,) = (work / "runs" / "train").iterdir()
    assert folder.name.startswith("synthetic-fame-")
    assert {path.name for path in folder.iterdir()} == {"best", "checkpoint.safetensors"}
    assert {path.name for path in (folder / "best").iterdir()} == FOLDER
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["data:", "loss:", "attention:"]
    assert [line.split()[:2] for line in lines[4:7]] == [["epoch", str(n)] for n in (1, 2, 3)]
    assert all("items/s  padding " in line for line in lines[4:7])
    metrics = metrics_of(folder)
    best = max(report["validation"]["ndcg@10"] for report in metrics["history"])
    assert metrics["validation"]["ndcg@10"] == best
    assert f"ndcg@10 validation {best:.6f}, test {metrics['test']['ndcg@10']:.6f}" in done.out
    assert done.err == ""


def test_the_same_command_goes_on_after_an_interrupt_to_the_same_numbers(work, monkeypatch):
    run("--config", "tiny.yaml", "--output", "straight")

    def interrupted(*args, real=fit, **kwargs):
        reports = real(*args, **kwargs)
        yield next(reports)
        yield next(reports)
        raise KeyboardInterrupt

    monkeypatch.setattr("fame.training.fit.fit", interrupted)
    stopped = call(train.main, "--config", "tiny.yaml", "--output", "twice")
    assert (stopped.code, stopped.err) == (130, "interrupted\n")
    assert not (work / "twice" / "best").exists()
    monkeypatch.undo()
    monkeypatch.chdir(work)
    monkeypatch.setenv("FAME_DATA", str(work.parent / "cache"))
    done = run("--config", "tiny.yaml", "--output", "twice")
    assert "the training in twice goes on after epoch 2" in done.out
    assert [line.split()[1] for line in done.out.splitlines() if line.startswith("epoch")] == ["3"]
    assert timeless(metrics_of("twice")) == timeless(metrics_of("straight"))


def test_a_finished_training_is_not_trained_again():
    run("--config", "tiny.yaml")
    (folder,) = Path("runs/train").iterdir()
    first = timeless(metrics_of(folder))
    done = run("--config", "tiny.yaml")
    assert "is finished already" in done.out
    assert "epoch   1" not in done.out
    assert timeless(metrics_of(folder)) == first


def test_the_folder_of_another_experiment_is_refused():
    run("--config", "tiny.yaml", "--output", "out")
    before = metrics_of("out")
    done = call(train.main, "--config", "tiny.yaml", "--set", "train.lr=0.5", "--output", "out")
    assert done.code == 2
    assert done.err == (
        f"error: {Path('out/checkpoint.safetensors')} belongs to another experiment; "
        "choose another folder or remove it\n"
    )
    assert metrics_of("out") == before


def test_a_damaged_checkpoint_is_one_line():
    write_lines(Path("out/checkpoint.safetensors"), "not a checkpoint")
    done = call(train.main, "--config", "tiny.yaml", "--output", "out")
    assert done.code == 2
    assert done.err.startswith(f"error: {Path('out/checkpoint.safetensors')} is not a checkpoint of this program")
    assert done.err.count("\n") == 1


def test_a_backbone_is_shared_where_it_is_asked_for(work):
    backbone = ("--config", "tiny.yaml", "--set", "backbone.epochs=1", "--stages", "shared")
    alone = run(*backbone[:-2], "--output", "alone")
    first, second = (run(*backbone, "--output", name) for name in ("first", "second"))
    assert ["taken over" in done.out for done in (alone, first, second)] == [False, False, True]
    assert re.search(r"^backbone: taken over, \d+\.\d s of training saved$", second.out, re.MULTILINE)
    assert timeless(metrics_of("alone")) == timeless(metrics_of("first")) == timeless(metrics_of("second"))
    assert len([*(work / "shared").iterdir()]) == 1
    (work / "file").touch()
    refused = call(train.main, *backbone[:-1], "file")
    assert refused.code == 2 and refused.err.startswith("error: cannot write file: ")


def test_settings_that_diverge_are_one_line_and_exit_code_1():
    done = call(train.main, "--config", "tiny.yaml", "--set", "train.lr=1e30", "--set", "train.clip_norm=0")
    assert done.code == 1
    assert done.err.startswith("error: ") and done.err.count("\n") == 1


def test_seeds_are_summed_up_as_mean_and_standard_deviation():
    done = run("--config", "tiny.yaml", "--seeds", 2, "--output", "two", "--set", "seed=5")
    singles = [metrics_of(f"two/seed-{seed}") for seed in (5, 6)]
    summary = json.loads(Path("two/seeds.json").read_text())
    assert summary["seeds"] == [5, 6] == [single["seed"] for single in singles]
    for part in ("validation", "test"):
        assert summary[part].keys() == singles[0][part].keys()
        for name, figures in summary[part].items():
            values = [single[part][name] for single in singles]
            assert figures["values"] == values
            assert figures["mean"] == pytest.approx(sum(values) / 2)
            assert figures["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    values = [single["test"]["ndcg@10"] for single in singles]
    assert values[0] != values[1]
    assert f"ndcg@10 {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" in done.out
    run("--config", "tiny.yaml", "--output", "one", "--set", "seed=6")
    assert timeless(metrics_of("one")) == timeless(singles[1])


def test_the_exported_configuration_trains_again_to_the_same_numbers(tmp_path, monkeypatch):
    write_lines(Path("clicks.csv"), "user,item,time", *(f"u{u},{i:03d},{i}" for u in range(9) for i in range(u, u + 6)))
    own = ["--data", "clicks.csv", "--set", "data.core=2", "--set", "data.max_length=8"]
    run("--config", "tiny.yaml", *own, "--set", "train.precision=auto", "--set", "backbone.epochs=1", "--output", "a")
    before = Path(os.path.relpath("a", tmp_path / "elsewhere"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run("--config", str(before / "best" / "config.yaml"), "--output", "b")
    assert timeless(metrics_of("b")) == timeless(metrics_of(before))
    first, again = (read_yaml(Path(place) / "best" / "config.yaml") for place in (before, "b"))
    # Each names the data as seen from its own folder.
    assert (Path("b/best") / again["data"].pop("path")).resolve() == (
        before / "best" / first["data"].pop("path")
    ).resolve()
    assert again == first


def test_the_exported_configuration_is_complete():
    run("--config", "tiny.yaml", "--output", "out")
    experiment = read_experiment("out/best/config.yaml")
    assert experiment == read_trained(Path("out")).experiment
    assert experiment.train.threads == 1 and experiment.train.precision == "float32"
    assert None not in (experiment.data.core, experiment.data.recipe, experiment.data.fingerprint, experiment.data.size)


def test_other_data_than_the_exported_is_an_error():
    write_lines(Path("own.csv"), "user,item,time", *(f"{u},{i},{i}" for u in range(6) for i in range(6)))
    run("--config", "tiny.yaml", "--data", "own.csv", "--output", "out")
    write_lines(Path("own.csv"), "user,item,time", *(f"{u},{i},{i}" for u in range(7) for i in range(6)))
    done = call(train.main, "--config", "out/best/config.yaml", "--output", "again")
    assert done.code == 2
    assert "data.fingerprint = " in done.err and "so it is other data" in done.err


def test_another_dataset_drops_the_data_section_of_the_file():
    write_config(Path("full.yaml"), data={"core": 2, "fingerprint": "0123"})
    assert settings(config="full.yaml").data.core == 2
    other = settings(config="full.yaml", dataset="beauty", data_dir="there")
    assert (other.data.name, other.data.dir) == ("beauty", "there")
    assert other.data.size is other.data.core is other.data.fingerprint is None
    assert other.data.max_length == 50
    assert other.model == settings(config="full.yaml").model
    own = settings(config="full.yaml", data="x/clicks.csv")
    assert (own.data.name, own.data.path, own.data.size) == ("clicks", "x/clicks.csv", None)


def test_the_data_section_stays_for_the_dataset_that_it_names_or_when_it_names_none():
    write_config(Path("full.yaml"), data={"core": 2})
    assert settings(config="full.yaml", dataset="synthetic") == settings(config="full.yaml")
    write_lines(Path("nameless.yaml"), "data: {core: 3}")
    assert settings(config="nameless.yaml", dataset="toys").data.core == 3
    write_lines(Path("empty.yaml"), "data:", "train: {epochs: 2}")
    assert settings(config="empty.yaml", dataset="toys").data.name == "toys"


def test_overrides_come_last():
    assert settings(config="tiny.yaml", overrides=("train.epochs=9",)).train.epochs == 9
    assert settings(dataset="beauty", overrides=("data.core=3",)).data.core == 3
    with pytest.raises(UserError, match=r"model\.heads = 3"):
        settings(config="tiny.yaml", overrides=("model.heads=3",))


def test_a_name_with_slashes_stays_below_the_output_folder(work):
    write_lines(Path("own.csv"), "user,item,time", *(f"{u},{i},{i}" for u in range(6) for i in range(6)))
    run("--config", "tiny.yaml", "--data", "own.csv", "--dataset", "../../up", "--set", "train.epochs=1")
    assert [path.name for path in work.parent.iterdir() if path.name.startswith("up")] == []
    assert len(list((work / "runs" / "train").iterdir())) == 1


def test_a_failure_to_write_is_one_line(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr("fame.training.fit.fit", full)
    done = call(train.main, "--config", "tiny.yaml", "--output", "out")
    assert done.code == 2
    assert done.err == "error: cannot write out: No space left on device; free space or choose another folder\n"
