"""A driver whose own Ray has died begins anew, a few times in a row, with the command that was typed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tuning.driver import again
from tuning.driver.again import COUNT, MOST, Again, command


@pytest.mark.parametrize(
    ("typed", "more"),
    [
        (["python", "tuning/sweep.py", "--trials", "3"], ["--name", "s", "--resume"]),
        (["python", "-m", "tuning.sweep", "--name", "s"], ["--resume"]),
        (["python", "/bin/fame", "sweep", "--name=s", "--resume"], []),
    ],
)
def test_the_command_is_the_typed_one_which_goes_on(typed: list[str], more: list[str]) -> None:
    assert command(typed, "s")[1:] == [*typed[1:], *more]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A driver that notes how it began anew, and how many epochs its study has."""
    driver = SimpleNamespace(epochs=5, released=0, begun=[])
    monkeypatch.setattr(Again, "known_epochs", lambda self: driver.epochs)
    monkeypatch.setattr(again, "replace_process", lambda words, environment: driver.begun.append(environment))
    monkeypatch.setattr(again, "ENVIRONMENT", {"A": "b"})

    def release() -> None:
        driver.released += 1

    driver.make = lambda: Again(SimpleNamespace(name="s"), [SimpleNamespace(release=release)])
    return driver


def test_it_gives_its_lock_up_and_keeps_its_environment(driver: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    driver.make()("Ray's head (a:1) has died or cannot be reached. Nothing that ended is lost: --resume")
    assert driver.begun == [{"A": "b", COUNT: "1"}] and driver.released == 1
    line = f"Ray's head (a:1) has died or cannot be reached. Ray is started again (1 of at most {MOST} times without an epoch)"
    assert capsys.readouterr().out == line + "\n"


def test_it_ends_after_some_starts_without_an_epoch(driver: SimpleNamespace) -> None:
    for count in range(1, MOST + 1):
        driver.make()("why")
        assert driver.begun[-1][COUNT] == str(count)
        again.ENVIRONMENT = driver.begun[-1]
    driver.make()("why")
    assert len(driver.begun) == MOST


def test_an_epoch_in_between_counts_from_the_beginning(driver: SimpleNamespace) -> None:
    again.ENVIRONMENT[COUNT] = str(MOST)
    anew = driver.make()
    driver.epochs += 1
    anew("why")
    assert driver.begun[-1][COUNT] == "1"
