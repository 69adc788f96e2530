"""Users' histories are written and read back."""

from __future__ import annotations

import numpy as np
import pytest

from fame.serving.histories import Histories, read_histories, write_histories


@pytest.mark.parametrize("ids", [np.array([-2, 5, 9]), np.array(["", "ä", "zebra"])])
def test_histories_are_read_back_as_they_were(ids, tmp_path):
    histories = Histories(ids=ids, values=np.array([3, 1, 2, 2], np.int32), offsets=np.array([0, 2, 2, 4]))
    write_histories(tmp_path / "users.safetensors", histories)
    found = read_histories(tmp_path / "users.safetensors", 3)
    assert np.array_equal(found.ids, ids) and [row.tolist() for row in found] == [[3, 1], [], [2, 2]]
    assert [row.tolist() for row in found.of([2, 0])] == [[3, 1], [2, 2]]
    assert [row.tolist() for row in found.part(1, 3)] == [[], [2, 2]]
    with pytest.raises(
        ValueError, match=r"is damaged .its parts do not fit together.; export the model again, or remove"
    ):
        read_histories(tmp_path / "users.safetensors", 2)
