"""The dashboard's view of a study: what whole lines say, and no way to write."""

from __future__ import annotations

import optuna
import pytest

from fame.errors import UserError
from tuning.study.file import open_journal
from tuning.study.reading import ReadOnlyError, open_read_only


def test_what_the_sweep_writes_is_seen_and_half_a_line_is_not(study, tmp_path):
    view = optuna.load_study(study_name="mine", storage=open_read_only(tmp_path / "study.log"))
    assert [trial.value for trial in view.trials] == [trial.value for trial in study.trials]
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=1)
    assert len(view.trials) == 4
    with (tmp_path / "study.log").open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    assert len(view.trials) == 4


def test_nothing_can_be_written(study, tmp_path):
    before = (tmp_path / "study.log").read_bytes()
    view = optuna.load_study(study_name="mine", storage=open_read_only(tmp_path / "study.log"))
    with pytest.raises(ReadOnlyError, match="the sweep alone writes its study"):
        view.set_user_attr("note", "mine")
    with pytest.raises(ReadOnlyError):
        view.ask()
    assert (tmp_path / "study.log").read_bytes() == before


def test_a_damaged_line_is_named_with_what_mends_it(study, tmp_path):
    path = tmp_path / "study.log"
    lines = path.read_bytes().splitlines(True)
    lines[3] = b"\0" * len(lines[3])
    path.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=r"study\.log: line 4 is damaged; --resume of the sweep mends it"):
        open_read_only(path)
    open_journal(path)
    assert len(optuna.load_study(study_name="mine", storage=open_read_only(path)).trials) == 3
