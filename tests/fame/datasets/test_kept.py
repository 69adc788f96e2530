"""Tables in memory are the same dataset as files."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from fame.datasets import Dataset, load_dataset
from fame.errors import UserError
from tests.fame.datasets.forms import columns, known


def test_tables_in_memory():
    frame = pd.DataFrame(columns())
    fingerprint, _ = known()
    shifted = frame.assign(
        timestamp=pd.to_datetime(frame["timestamp"], unit="s"), item_id=frame["item_id"].astype("Int16")
    )
    for table in (
        frame,
        shifted,
        frame.set_index("user_id"),
        frame[frame.index >= 0],
        pa.table(columns()).to_batches()[0],
    ):
        dataset = Dataset.from_pandas(table, core=1)
        assert dataset.fingerprint == fingerprint
        assert load_dataset(dataset.config).fingerprint == fingerprint
    with_text = Dataset.from_pandas(
        frame, items=pd.DataFrame({"Item_ID": [101, 102], "Title": ["A", None]}), core=1, report=lambda _: None
    )
    assert [with_text.items.title(n) for n in (1, 2)] == ["A", "102"]
    for bad in ([1, 2], "x", pd.DataFrame({"user_id": [1, "a"]}), None):
        with pytest.raises(UserError) as caught:
            Dataset.from_pandas(bad)
        assert "\n" not in str(caught.value)
