"""The file in which writes wait: against a list, and against what kills and bad disks do to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.tracking.records import KINDS, OpenTrialsEnd, Record, SweepValues, TrialEnd, TrialEpoch, TrialStart, parse
from tuning.tracking.spool import Chunk, Spool

texts = st.text(max_size=20)
numbers = st.floats(allow_nan=False)
times = st.integers(min_value=0, max_value=2**45)
tables = st.dictionaries(texts, texts, max_size=3)
records = st.one_of(
    st.builds(TrialEpoch, when=times, trial=texts, epoch=st.integers(0), metrics=st.dictionaries(texts, numbers)),
    st.builds(TrialStart, when=times, trial=texts, name=texts, params=tables, tags=tables),
    st.builds(TrialEnd, when=times, trial=texts, status=st.just("pruned"), name=texts, tags=tables),
    st.builds(SweepValues, when=times, params=tables, metrics=st.dictionaries(texts, numbers), tags=tables),
    st.builds(OpenTrialsEnd, when=times, outcomes=st.dictionaries(texts, st.just("failed"))),
)


def epoch(number: int) -> Record:
    return TrialEpoch(trial="a", epoch=number, metrics={"loss": 1.0 / number}, when=number)


def waiting(spool: Spool) -> list[Record]:
    return spool.peek(10**6).records


@given(records)
def test_a_record_is_one_line_and_comes_back(record: Record) -> None:
    line = record.line()
    assert "\n" not in line and parse(line.encode()) == record


@given(st.lists(st.one_of(records, st.integers(1, 5), st.just("killed"))))
def test_it_is_a_queue_that_outlives_its_process(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:
    path = tmp_path_factory.mktemp("spool") / "in" / "spool.jsonl"
    spool, expected = Spool(path), []
    undone: list[Record] = []  # since the file was last empty
    for step in steps:
        if isinstance(step, int):
            chunk = spool.peek(step)
            assert chunk.records == expected[:step]
            spool.forget(chunk)
            expected = expected[step:]
            if not expected:
                undone = []
        elif step == "killed":  # what had been forgotten may come again, in its order
            spool, expected = Spool(path), list(undone)
        else:
            spool.append(step)
            expected.append(step)
            undone.append(step)
        assert spool.count == len(expected)
    assert waiting(spool) == expected
    spool.close()
    assert path.exists() == bool(expected)


def test_lines_longer_than_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.tracking.spool.READ_BYTES", 7)
    spool = Spool(tmp_path / "spool")
    for number in range(1, 6):
        spool.append(epoch(number))
    assert [record.epoch for record in spool.peek(3).records] == [1, 2, 3]
    spool.forget(spool.peek(3))
    assert waiting(spool) == [epoch(4), epoch(5)]


@given(st.integers(1, 200))
def test_a_last_line_that_is_cut_off_is_dropped(tmp_path_factory: pytest.TempPathFactory, missing: int) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.jsonl"
    spool = Spool(path)
    for number in (1, 2, 3):
        spool.append(epoch(number))
    whole = path.read_bytes()
    path.write_bytes(whole[:-missing])
    kept = whole[:-missing].count(b"\n")
    again = Spool(path)
    assert waiting(again) == [epoch(number) for number in range(1, kept + 1)]
    again.append(epoch(9))
    assert waiting(Spool(path))[-1] == epoch(9)
    assert [file.name for file in path.parent.iterdir()] == ["spool.jsonl"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b"\x00\x00\x00", "Expecting value"),
        (b'{"kind": "trial epoch", "when"', "Expecting ':'"),
        (b"\xff\xfe{}", "decode"),
        (b'{"kind": "trial party", "when": 1}', "it is no record"),
        (b'{"kind": "trial epoch", "when": 1}', "missing"),
        (b"[]", "it is no record"),
    ],
)
def test_a_damaged_line_is_named_and_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes, reason: str
) -> None:
    path = tmp_path / "spool.jsonl"
    lines = [epoch(1).line().encode(), damage, epoch(3).line().encode()]
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert waiting(Spool(path)) == [epoch(1), epoch(3)]
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"{path}, line 2 is damaged" in message and reason in message and "\n" not in message
    assert (tmp_path / "spool.damaged").read_bytes() == b"\n".join(lines) + b"\n"
    caplog.clear()
    assert waiting(Spool(path)) == [epoch(1), epoch(3)] and not caplog.records


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(epoch(1))
    write = os.write

    def full(file: int, content: bytes) -> int:
        if len(content) > 10:
            return write(file, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", lambda file, content: full(file, content[:11]))
    with pytest.raises(OSError, match="No space left"):
        spool.append(epoch(2))
    monkeypatch.undo()
    assert waiting(spool) == [epoch(1)]
    spool.append(epoch(3))
    assert waiting(Spool(tmp_path / "spool")) == [epoch(1), epoch(3)]


def test_what_is_appended_while_a_chunk_is_written_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(epoch(1))
    chunk: Chunk = spool.peek(10)
    spool.append(epoch(2))
    spool.forget(chunk)
    assert waiting(spool) == [epoch(2)]


def test_every_kind_has_its_own_name() -> None:
    assert len(KINDS) == 8 and all(KINDS[kind].kind == kind for kind in KINDS)
