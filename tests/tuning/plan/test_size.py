"""How many trials and epochs a sweep takes by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.plan.size import (
    FEWEST_EPOCHS,
    FEWEST_TRIALS,
    MOST_TRIALS,
    SEARCH_SECONDS,
    TRIAL_SECONDS,
    Size,
    TrialShare,
    size_of,
    spoken,
)

BEAUTY = {"users": 22_363, "items": 12_101, "actions": 198_502, "average_length": 8.9}
CORE = TrialShare(cores=1, gpus=0.0, at_a_time=2)


def test_an_epoch_of_beauty_is_estimated_within_a_factor_of_two():
    """Measured: 15 s at D 64 and 30 s at D 128 with two blocks on a core (docs/LOG.md)."""
    for dim, measured in ((64, 15), (128, 30)):
        found = size_of({"dim": dim, "blocks": 2, "max_length": 50}, 0.0, BEAUTY, CORE).epoch_seconds
        assert measured / 2 <= found <= measured * 2


def test_prefixes_more_cores_and_a_gpu_count():
    model = {"dim": 64, "blocks": 2, "max_length": 50}
    plain = size_of(model, 0.0, BEAUTY, CORE).epoch_seconds
    assert size_of(model, 1.0, BEAUTY, CORE).epoch_seconds > plain
    assert size_of(model, 0.0, BEAUTY, TrialShare(cores=2, gpus=0.0, at_a_time=1)).epoch_seconds == pytest.approx(
        plain / 2
    )
    assert size_of(model, 0.0, BEAUTY, TrialShare(cores=1, gpus=1.0, at_a_time=1)).epoch_seconds < plain / 50


@given(st.floats(1e-3, 1e6), st.integers(1, 64), st.integers(1, 200))
def test_a_search_fits_into_its_time_unless_the_fewest_trials_do_not(epoch_seconds, at_a_time, most):
    size = Size(epoch_seconds=epoch_seconds, at_a_time=at_a_time)
    epochs = size.epochs(most)
    trials = size.trials(epochs)
    assert min(most, FEWEST_EPOCHS) <= epochs <= most and FEWEST_TRIALS <= trials <= MOST_TRIALS
    if trials > FEWEST_TRIALS:
        # The last round of trials may be full in part.
        assert size.seconds(trials, epochs) <= SEARCH_SECONDS + TRIAL_SECONDS + epoch_seconds * epochs


@pytest.mark.parametrize(("seconds", "words"), [(10, "about 1 min"), (2400, "about 40 min"), (3 * 3600, "about 3 h")])
def test_durations_are_spoken(seconds, words):
    assert spoken(seconds) == words
