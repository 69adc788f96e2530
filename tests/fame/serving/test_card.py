"""The model card."""

from __future__ import annotations

from fame.serving.card import model_card
from fame.serving.export import export_model
from tests.fame.helpers import experiment


def test_the_card_says_what_it_is_and_how_to_use_and_repeat_it(made, tmp_path):
    trained, dataset = made
    metrics = export_model(tmp_path / "my models" / "best", trained, dataset)
    card = (tmp_path / "my models" / "best" / "README.md").read_text()
    for words in (
        "# fame on synthetic",
        f"| ndcg@10 | {metrics['validation']['ndcg@10']:.4f} | {metrics['test']['ndcg@10']:.4f} |",
        dataset.fingerprint,
        "python -m fame.recommend --model . --user ID",
        "python -m fame.train --config config.yaml",
        "| model.heads | 2 |",
        f"| data.core | {trained.experiment.data.core} |",
        "| backbone.epochs | 1 |",
    ):
        assert words in card


def test_the_model_card_says_that_settings_changed():
    metrics = {
        "metric": "ndcg@10",
        "validation": {"ndcg@10": 0.1},
        "test": {"ndcg@10": 0.1},
        "best_epoch": 2,
        "epochs": 6,
        "dataset": {
            "name": "tiny",
            "recipe": "whole",
            "fingerprint": "tiny",
            "statistics": {"users": 1, "items": 2, "actions": 3, "average_length": 3.0},
        },
        "provenance": {},
        "lists": {"validation": {}, "test": {}},
    }
    assert "reaches the same validation metric" in model_card(experiment(), metrics)
    metrics["changes"] = [{"epoch": 2, "origin": "a", "settings": {}}, {"epoch": 4, "origin": "b", "settings": {}}]
    card = model_card(experiment(), metrics)
    assert "settings changed during the training, after epoch 2, 4" in card
    assert "reaches the same" not in card
