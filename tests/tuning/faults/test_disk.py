"""Disks that cannot be written: what is said, and the space that is kept for the last lines."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fame.errors import UserError
from tuning.faults.disk import RESERVE, RESERVED, cannot_write, described, release, reserve, reserved


def test_space_is_kept_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    with reserved(tmp_path):
        assert (tmp_path / RESERVE).stat().st_blocks * 512 >= RESERVED
    assert not list(tmp_path.iterdir())
    assert not release(tmp_path)


def test_a_sweep_does_not_start_without_the_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"no space left on the device .*; a sweep needs 8 MiB at the least"):
        reserve(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "the disk quota"), (errno.EROFS, "the file system is read-only")],
)
def test_the_place_the_reason_and_the_space_that_is_left_are_said(number: int, words: str, tmp_path: Path) -> None:
    error = OSError(number, "x", str(tmp_path / "not" / "there"))
    assert cannot_write(error) and not cannot_write(OSError(errno.ENOENT, "x")) and not cannot_write(ValueError())
    line = described(error)
    assert line.startswith(f"{tmp_path}/not/there: {words}") and line.endswith(" MiB free)")
    assert described(error, "s3://bucket").startswith(f"s3://bucket: {words}")
