"""Champion and challenger: by validation on the same data alone."""

from __future__ import annotations

import pytest

from tuning.registry.champion import CHALLENGER, CHAMPION, Rated, verdict
from tuning.registry.register import process_store
from tuning.tracking.store import connect

TAGS, NDCG = {"fingerprint": "f", "rules": "r", "metric": "ndcg@10"}, "validation/ndcg_10"


def rated(version: str, value: float | None, **changed: object) -> Rated:
    metrics = {"test/ndcg_10": 9.0} | ({} if value is None else {NDCG: value})
    return Rated(version=version, tags=TAGS | {"weights": version} | changed, metrics=metrics)


@pytest.mark.parametrize(
    ("champion", "challenger", "alias", "words"),
    [
        (None, None, CHAMPION, "validation ndcg@10 0.2500, the first of its kind"),
        (rated("1", 0.25, weights="3"), None, CHAMPION, "0.2500, the weights of version 1"),
        (rated("1", 0.25, trained_weights="3"), None, CHAMPION, "the weights of version 1"),  # with more items
        (rated("1", 0.2), None, CHAMPION, "0.2500 beats 0.2000 of version 1"),
        (rated("1", 0.25), None, CHALLENGER, "0.2500 does not beat 0.2500 of version 1, the champion"),
        (rated("1", 0.3), rated("2", 0.2), CHALLENGER, "0.2500 does not beat 0.3000"),
        (
            rated("1", 0.3),
            rated("2", 0.25),
            None,
            "of version 1, the champion, nor 0.2500 of version 2, the challenger",
        ),
        (rated("1", 0.3), rated("3", 0.25), CHALLENGER, "0.2500 does not beat 0.3000"),  # it is itself
        (rated("1", 0.3), rated("2", 0.4, fingerprint="g"), CHALLENGER, "does not beat"),
        (rated("1", 0.1, fingerprint="g"), None, CHALLENGER, "on other data, so the two do not compare"),
        (rated("1", 0.1, rules="s"), rated("2", 0.3), None, "evaluated by other rules"),
        (rated("1", None), None, CHALLENGER, "champion is version 1, which has no ndcg@10"),
    ],
)
def test_validation_on_the_same_data_alone_decides(champion, challenger, alias, words):
    found, reason = verdict(rated("3", 0.25), champion, challenger)
    assert found == alias and words in reason


def test_a_champion_of_an_earlier_release_has_its_metrics_among_the_tags(tmp_path):
    client, experiment_id = connect(f"sqlite:///{tmp_path / 'mlflow.db'}", "early")
    model = client.create_logged_model(experiment_id, name="early")
    client.create_registered_model("early")
    tags = TAGS | {"validation.ndcg_at_10": "0.3", "test.hr_at_5": "0.1"}
    with process_store(client.tracking_uri):
        client.create_model_version("early", f"models:/{model.model_id}", tags=tags)
    found = Rated.of(client, client.get_model_version("early", "1"))
    assert found.metrics == {NDCG: 0.3, "test/hr_5": 0.1} and found.value("ndcg@10") == 0.3
