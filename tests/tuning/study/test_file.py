"""Damage to a study's files: what is said, what is put right, and that nothing wrong is ever read."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tuning.faults.disk import RESERVE, reserve
from tuning.study import file as study_file
from tuning.study.file import StudyFile, open_journal

LOGS = [{"op_code": number % 11, "worker_id": "w", "value": number / 7, "name": f"ä {number}"} for number in range(20)]


def written(folder: Path, count: int = len(LOGS)) -> StudyFile:
    file = StudyFile(folder / "study.log")
    for log in LOGS[:count]:
        file.append_logs([log])
    return file


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("study.log", "study.log.copy")]


def test_two_equal_files_from_which_any_line_can_be_read(tmp_path: Path) -> None:
    file = written(tmp_path)
    first, second = contents(tmp_path)
    assert first == second and first.count(b"\n") == len(LOGS)
    for start in (0, 7, 19, 20, 3):
        assert list(file.read_logs(start)) == LOGS[start:]
    assert StudyFile(tmp_path / "study.log").damage == []


def test_a_second_object_appends_after_the_first(tmp_path: Path) -> None:
    first = written(tmp_path, 3)
    second = StudyFile(tmp_path / "study.log")
    for number, file in enumerate([second, first, second, first], start=3):
        file.append_logs([LOGS[number]])
    assert list(first.read_logs(0)) == list(second.read_logs(0)) == LOGS[:7]
    assert StudyFile(tmp_path / "study.log").damage == []


@given(st.data())
def test_any_damage_to_one_file_is_put_right_from_the_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("study")
    written(folder)
    whole, _ = contents(folder)
    victim = folder / data.draw(st.sampled_from(["study.log", "study.log.copy"]))
    kind = data.draw(st.sampled_from(["bytes", "cut", "line lost", "lines swapped", "gone", "zeros", "other"]))
    lines = whole.splitlines(True)
    at, line = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, len(LOGS) - 2))
    damaged = {
        "bytes": whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :],
        "cut": whole[:at],
        "line lost": b"".join(lines[:line] + lines[line + 1 :]),
        "lines swapped": b"".join([*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]]),
        "gone": None,
        "zeros": whole[:at] + bytes(min(64, len(whole) - at)) + whole[at + 64 :],
        "other": b"not a study\n" * 3,
    }[kind]
    victim.unlink()
    if damaged is not None:
        victim.write_bytes(damaged)
    again = StudyFile(folder / "study.log")
    assert list(again.read_logs(0)) == LOGS and contents(folder) == [whole, whole]
    under_way = kind == "cut" and at > len(b"".join(lines[:-1]))
    unsaid = under_way or (victim.suffix == ".copy" and not damaged)  # there never was one, or it is another machine's
    assert again.damage == [] if unsaid else [str(victim) in line for line in again.damage] == [True]
    assert StudyFile(folder / "study.log").damage == []


def test_damage_is_named_by_file_and_line_and_the_file_kept(tmp_path: Path) -> None:
    written(tmp_path)
    lines = (tmp_path / "study.log").read_bytes().splitlines(True)
    lines[11] = lines[11].replace(b"0", b"1", 1)
    (tmp_path / "study.log").write_bytes(b"".join(lines))
    (said,) = StudyFile(tmp_path / "study.log").damage
    assert said == f"{tmp_path}/study.log: line 12 is damaged; the file is kept as study.log.damaged, its copy is used"
    assert (tmp_path / "study.log.damaged").read_bytes() == b"".join(lines)


def test_different_lines_of_both_are_put_together(tmp_path: Path) -> None:
    written(tmp_path)
    whole, _ = contents(tmp_path)
    lines = whole.splitlines(True)
    for name, line in {"study.log": 4, "study.log.copy": 9}.items():
        (tmp_path / name).write_bytes(b"".join([*lines[:line], b"\0" * 30 + b"\n", *lines[line + 1 :]]))
    again = StudyFile(tmp_path / "study.log")
    assert list(again.read_logs(0)) == LOGS and len(again.damage) == 2


def test_a_line_that_both_have_lost_is_the_end(tmp_path: Path) -> None:
    written(tmp_path)
    lines = contents(tmp_path)[0].splitlines(True)
    for name in ("study.log", "study.log.copy"):
        (tmp_path / name).write_bytes(b"".join([*lines[:6], b"{}\n", *lines[7:]]))
    again = StudyFile(tmp_path / "study.log")
    assert list(again.read_logs(0)) == LOGS[:6]
    assert again.damage[-1].endswith("line 7 is in neither copy: 14 lines from there on are lost")
    again.append_logs(LOGS[6:8])
    assert list(StudyFile(tmp_path / "study.log").read_logs(0)) == LOGS[:8]


def test_a_copy_of_another_study_is_not_mixed_in(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (tmp_path / "other").mkdir()
    other = StudyFile(tmp_path / "other" / "study.log")
    for log in reversed(LOGS):
        other.append_logs([log])
    (tmp_path / "study.log.copy").write_bytes(contents(tmp_path / "other")[1])
    again = StudyFile(tmp_path / "study.log")
    assert list(again.read_logs(0)) == LOGS[:5]
    assert "study.log.copy: line 1 is damaged; the file is kept" in again.damage[0]


def test_a_killed_append_is_nothing_to_speak_of(tmp_path: Path) -> None:
    """Killed between the two files, or in the middle of the second."""
    written(tmp_path)
    whole, _ = contents(tmp_path)
    last = len(whole.splitlines(True)[-1])
    for cut in (last, last - 10, 1):
        (tmp_path / "study.log.copy").write_bytes(whole[:-cut])
        assert StudyFile(tmp_path / "study.log").damage == [] and contents(tmp_path) == [whole, whole]


def test_optunas_own_journal_reads_it(tmp_path: Path) -> None:
    """So do the tools that take one, such as optuna-dashboard."""
    study = optuna.create_study(storage=open_journal(tmp_path / "study.log")[0], study_name="s", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    theirs = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    assert optuna.load_study(study_name="s", storage=theirs).trials == study.trials


def failing(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The disk is full at the `call`-th fsync from now, as long as there is a reserve."""
    real, left = os.fsync, [call]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(study_file.os, "fsync", fsync)


@pytest.mark.parametrize("call", [1, 2])
def test_a_full_disk_leaves_both_files_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    file, before = written(tmp_path, 5), contents(tmp_path)
    failing(monkeypatch, call)
    with pytest.raises(OSError, match="No space left"):
        file.append_logs([LOGS[5]])
    assert contents(tmp_path) == before and file.fault is None
    file.append_logs([LOGS[5]])  # there is space again
    assert list(StudyFile(tmp_path / "study.log").read_logs(0)) == LOGS[:6]


def test_the_reserve_takes_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, 5)
    reserve(tmp_path)
    failing(monkeypatch, 1)
    file.append_logs([LOGS[5]])
    assert file.fault.errno == errno.ENOSPC and not (tmp_path / RESERVE).exists()
    assert list(StudyFile(tmp_path / "study.log").read_logs(0)) == LOGS[:6]


def test_a_line_is_json(tmp_path: Path) -> None:
    written(tmp_path, 2)
    second = json.loads(contents(tmp_path)[0].splitlines()[1])
    assert second.pop("n") == 1 and len(second.pop("check")) == 8 and second == LOGS[1]


def test_lines_of_one_proposal_go_to_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, synced = written(tmp_path, 3), []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    with file.until_the_next():
        for log in LOGS[3:10]:
            file.append_logs([log])
        assert synced == [] and list(file.read_logs(0)) == LOGS[:10]
    file.append_logs([LOGS[10]])
    assert synced == [len(content) for content in contents(tmp_path)]
    assert list(file.read_logs(0)) == LOGS[:11]
    file.append_logs([LOGS[11]])
    assert len(synced) == 4
