from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tuning.trial.scratch import remove_abandoned, remove_when_left, scratch_folder

HOLD = "import sys; from tuning.trial.scratch import scratch_folder\nwith scratch_folder('held') as f: print(f, flush=True); input()"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def holder() -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.kill()


def test_the_folder_of_a_killed_process_is_removed_by_the_next(holder: subprocess.Popen) -> None:
    folder = Path(holder.stdout.readline().strip())
    (folder / "checkpoint").write_text("…")
    with scratch_folder("other") as other:
        assert folder.exists() and other.exists() and other != folder
        remove_when_left({"other trial"}, seconds=0)
        assert folder.exists() and other.exists()
        holder.kill()
        holder.wait()
        remove_when_left({"held"}, seconds=5)
        assert not folder.exists() and other.exists()
    assert not other.exists()


def test_what_is_not_ours_stays(temporary: Path) -> None:
    (temporary / "fame-other").mkdir()
    (temporary / "fame-trial-file").touch()
    (temporary / "fame-trial-abc-left").mkdir()
    remove_abandoned()
    assert {path.name for path in temporary.iterdir()} == {"fame-other", "fame-trial-file"}
