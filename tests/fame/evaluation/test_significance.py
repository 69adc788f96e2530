"""Significance against loops that draw users one by one, scipy, and what the definitions promise."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fame.evaluation import significance
from fame.evaluation.significance import bootstrap_interval, holm, permutation_test


def ndcg_differences(users: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Differences of NDCG@10 of two models, most of them 0; `shift` is the share of users the first wins."""
    rng = np.random.default_rng(seed)

    def values(hit: float) -> np.ndarray:
        return (rng.random(users) < hit) / np.log2(rng.integers(0, 10, users) + 2)

    return values(0.1 + shift) - values(0.1)


def naive_bootstrap(differences: list[float], resamples: int, rng: random.Random) -> list[float]:
    return [statistics.fmean(rng.choices(differences, k=len(differences))) for _ in range(resamples)]


def naive_permutations(differences: list[float], resamples: int, rng: random.Random) -> float:
    observed = abs(sum(differences))
    flipped = (abs(sum(d if rng.random() < 0.5 else -d for d in differences)) for _ in range(resamples))
    return (sum(one >= observed - 1e-9 for one in flipped) + 1) / (resamples + 1)


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_the_interval_is_that_of_drawing_users_one_by_one_and_of_scipy(shift):
    differences = ndcg_differences(400, seed=1, shift=shift)
    ours = bootstrap_interval(differences, resamples=20_000)
    naive = naive_bootstrap(differences.tolist(), 4_000, random.Random(0))
    scipy = stats.bootstrap((differences,), np.mean, method="percentile", n_resamples=20_000, rng=2)
    spread = statistics.stdev(naive)
    assert ours == pytest.approx(np.quantile(naive, (0.025, 0.975)), abs=0.15 * spread)
    assert ours == pytest.approx(tuple(scipy.confidence_interval), abs=0.07 * spread)


@pytest.mark.parametrize(("users", "shift"), [(60, 0.0), (60, 0.2), (500, 0.03)])
def test_p_is_that_of_flipping_signs_one_by_one_and_of_scipy(users, shift):
    differences = ndcg_differences(users, seed=3, shift=shift)
    ours = permutation_test(differences, resamples=20_000)
    naive = naive_permutations(differences.tolist(), 3_000, random.Random(0))
    scipy = stats.permutation_test(
        (differences, np.zeros(users)),
        lambda x, y, axis: np.abs((x - y).mean(axis=axis)),
        permutation_type="samples",
        alternative="greater",  # of the absolute mean: scipy's own two-sided p doubles the smaller tail
        vectorized=True,
        n_resamples=5_000,
        rng=1,
    ).pvalue
    error = (ours * (1 - ours)) ** 0.5
    assert ours == pytest.approx(naive, abs=4 * error / 3_000**0.5 + 1e-3)
    assert ours == pytest.approx(scipy, abs=4 * error / 5_000**0.5 + 1e-3)


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=9))
def test_p_is_near_the_exact_one_of_all_assignments(differences):
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    exact = float(np.mean(np.abs(differences @ signs) >= abs(sum(differences)) - 1e-9))
    assert permutation_test(np.array(differences), resamples=4_000) == pytest.approx(exact, abs=0.04)


def test_under_the_null_p_is_uniform_and_the_interval_covers_the_truth():
    users, repeats = 100, 300
    p_values, covered = [], 0
    for seed in range(repeats):
        differences = np.random.default_rng(seed).normal(size=users)  # symmetric around 0: the null holds
        p_values.append(permutation_test(differences, resamples=399, seed=seed))
        low, high = bootstrap_interval(differences, resamples=399, seed=seed)
        covered += low <= 0 <= high
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert covered / repeats == pytest.approx(0.95, abs=0.04)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= level) == pytest.approx(
            level, abs=4 * (level * (1 - level) / repeats) ** 0.5
        )


def test_a_real_difference_is_found_and_its_sign_kept():
    differences = ndcg_differences(5_000, seed=5, shift=0.03)
    low, high = bootstrap_interval(differences)
    assert 0 < low < differences.mean() < high
    assert permutation_test(differences) == 1e-4
    assert bootstrap_interval(-differences) == pytest.approx((-high, -low), abs=0.1 * (high - low))
    assert permutation_test(-differences) == permutation_test(differences)


def test_models_that_agree_on_every_user_do_not_differ():
    assert bootstrap_interval(np.zeros(50)) == (0, 0)
    assert permutation_test(np.zeros(50)) == 1


def test_seeded_and_the_same_in_small_blocks(monkeypatch):
    differences = ndcg_differences(200, seed=7)
    whole = bootstrap_interval(differences, seed=3), permutation_test(differences, seed=3)
    assert whole == (bootstrap_interval(differences, seed=3), permutation_test(differences, seed=3))
    assert whole != (bootstrap_interval(differences, seed=4), permutation_test(differences, seed=4))
    monkeypatch.setattr(significance, "BLOCK", 1_000)
    assert whole == (bootstrap_interval(differences, seed=3), permutation_test(differences, seed=3))


def test_holm_by_hand():
    # Sorted .005 .01 .03 .04: times 4, 3, 2, 1 is .02 .03 .06 .04, and none may be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] * (len(p_values) - place) > level:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(p_values)) if p <= level} == rejected
