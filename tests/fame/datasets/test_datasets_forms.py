"""The same interactions in every form give the same fingerprint and the same statistics."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fame.datasets import Dataset
from tests.fame.datasets.forms import FORMS, columns, known, load


def test_the_values_are_right():
    dataset = Dataset.from_pandas(pa.table(columns()), core=1)
    assert dataset.user_ids.tolist() == list(range(1, 13))
    assert dataset.items.ids.tolist() == list(range(101, 121))
    for user in range(12):
        assert dataset.items.ids[dataset.sequences[user] - 1].tolist() == list(range(101 + user, 110 + user))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_dataset(form, tmp_path):
    made = FORMS[form](tmp_path)
    path, settings = made if isinstance(made, tuple) else (made, {})
    dataset, said = load(path, **settings)
    fingerprint, statistics = known()
    same = dataset.statistics.keys() - {
        "steps",
        "columns",
    }  # what preparation did, and names of columns, are the form's
    assert {key: dataset.statistics[key] for key in same} == {key: statistics[key] for key in same}
    assert dataset.fingerprint == fingerprint
    assert not [line for line in said if "warning" in line]
