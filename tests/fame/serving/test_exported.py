"""An exported folder is read back as the same model, or is named as damaged in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fame.config.tree import read_experiment
from fame.errors import UserError
from fame.models.build import build_model
from fame.serving.exported import load_model
from tests.fame.helpers import random_rows


def test_a_model_read_back_gives_the_same_scores(made, folder):
    trained, dataset = made
    exported = load_model(folder)
    assert exported.experiment == trained.experiment == read_experiment(folder / "config.yaml")
    rows = random_rows(20, 8, dataset.sequences.item_count, seed=1)
    model = build_model(trained.experiment, dataset.sequences.item_count, trained.weights)
    with torch.no_grad():
        assert torch.equal(exported.model.encode(*rows), model.encode(*rows))
        assert torch.equal(exported.model.item_table(), model.item_table())
    assert not exported.model.training


def test_the_catalogue_has_ids_titles_and_training_counts(made, folder):
    dataset, catalogue = made[1], load_model(folder).catalogue
    assert catalogue.ids == dataset.items.ids.tolist()
    assert catalogue.titles == list(dataset.items.columns["title"])
    training = [item for user in range(len(dataset.sequences)) for item in dataset.sequences[user][:-2].tolist()]
    assert catalogue.counts == [training.count(number) for number in range(1, len(catalogue.ids) + 1)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(name: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def shorten_titles(folder: Path) -> None:
    catalogue = json.loads((folder / "items.json").read_text())
    (folder / "items.json").write_text(json.dumps({**catalogue, "titles": catalogue["titles"][:-1]}))


def shorten_catalogue(folder: Path) -> None:
    catalogue = json.loads((folder / "items.json").read_text())
    (folder / "items.json").write_text(
        json.dumps({key: values[:-1] for key, values in catalogue.items() if key != "columns"})
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no exported model"),
        (lambda folder: (folder / "config.yaml").unlink(), r"config.yaml is missing or damaged \(no such file"),
        (lambda folder: (folder / "items.json").unlink(), "items.json is missing or damaged"),
        (lambda folder: cut(folder / "model.safetensors"), "model.safetensors is not a checkpoint .* or is damaged"),
        (lambda folder: cut(folder / "items.json"), "items.json is missing or damaged"),
        (lambda folder: (folder / "config.yaml").write_text("- 1"), "config.yaml is missing or damaged"),
        (lambda folder: (folder / "items.json").write_text("[1]"), "items.json is missing or damaged"),
        (shorten_titles, "items.json is missing or damaged .its lists are not equally long"),
        (shorten_catalogue, "model.safetensors has item_count 30, but the files beside it say 29"),
        (edit("config.yaml", "max_length: 8", "max_length: 9"), "has max_length 8, but the files beside it say 9"),
        (edit("config.yaml", "dim: 8", "dim: 16"), "model.safetensors does not fit the model in"),
        (edit("config.yaml", "experts: 2", "experts: 4"), "model.safetensors does not fit the model in"),
        (edit("config.yaml", "heads:", "haeds:"), "config.yaml is missing or damaged .*did you mean 'heads'"),
    ],
)
def test_a_damaged_folder_is_one_line(damage, words, folder):
    load_model(folder)
    damage(folder)
    with pytest.raises(UserError, match=words) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_checkpoint_of_a_training_is_not_an_exported_model(made, folder):
    from fame.artifacts.checkpoint import save_checkpoint

    save_checkpoint(folder / "model.safetensors", made[0].weights, {"experiment": {}})
    with pytest.raises(UserError, match=r"model.safetensors has model None, but the files beside it say fame"):
        load_model(folder)
