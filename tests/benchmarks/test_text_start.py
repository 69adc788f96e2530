"""The comparison of starts says what the trainings' metrics say."""

from __future__ import annotations

import pytest

from benchmarks.text_start import summary, table


def metrics(all_users: float, cold: float) -> dict:
    groups = {"0-5": {"users": 3, "ndcg@10": cold, "hr@10": 1.0}, "21+": {"users": 7, "ndcg@10": 0.5, "hr@10": 1.0}}
    part = {"ndcg@10": all_users, "hr@10": 1.0}
    return {"validation": part, "test": part, "by_frequency": {"validation": groups, "test": groups}}


def test_means_and_deviations_over_seeds_by_part_and_group():
    found = summary([metrics(0.2, 0.1), metrics(0.4, 0.1)])
    assert found["test"]["all"]["mean"] == pytest.approx(0.3) and found["test"]["all"]["values"] == [0.2, 0.4]
    assert found["test"]["all"]["sd"] == pytest.approx(0.02**0.5)
    assert list(found["validation"]) == ["all", "0-5", "21+"] and found["validation"]["0-5"]["users"] == 3
    lines = table({"random": found}).splitlines()
    assert lines[0] == "| ndcg@10 | validation all | validation 0-5 | validation 21+ | test all | test 0-5 | test 21+ |"
    assert lines[2].startswith("| random | 0.3000 ± 0.1414 | 0.1000 ± 0.0000 | 0.5000 ± 0.0000 | 0.3000")
