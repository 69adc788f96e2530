"""The sanity lines: the metrics of models that count, once in a sweep."""

from __future__ import annotations

from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from tests.tuning.search.studies import make
from tuning.results.sanity import COUNTING, sanity_lines
from tuning.study.sanity import sanity_of


def test_the_lines_are_those_of_trained_counting_models_and_stay_in_the_study(tmp_path) -> None:
    tree = {"data": {"name": "synthetic", "size": {"users": 200, "items": 120}}, "evaluate": {"cutoffs": [10]}}
    experiment = experiment_from_dict(tree)
    lines = sanity_lines(experiment, load_dataset(experiment.data))
    assert list(lines) == list(COUNTING)
    assert all(set(parts) == {"validation", "test"} for parts in lines.values())
    assert 0 < lines["popularity"]["test"]["ndcg@10"] < lines["transition"]["test"]["ndcg@10"] <= 1
    search = make(tmp_path)
    assert sanity_of(search.study) == {}
    search.record.note_sanity(lines)
    assert sanity_of(make(tmp_path).study) == lines
