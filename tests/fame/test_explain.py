"""`python -m fame.explain`: an explanation as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame import explain as command
from fame import train
from tests.commands import call, write_config
from tests.fame.serving.explained import drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of the synthetic dataset."""
    work = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        config = write_config(work / "c.yaml")
        assert call(train.main, "--config", config, "--output", work / "out").code == 0
    return work / "out" / "best"


def test_the_command_shows_a_user_and_draws_the_picture(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("FAME_DATA", str(folder.parent.parent / "cache"))
    target = tmp_path / "deep" / "why.svg"
    done = call(command.main, "--model", folder, "--user", "3", "--top", 2, "--picture", target)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "synthetic, fame: user 3"
    assert sum(line.startswith("  expert ") for line in lines) == 4
    assert lines[-1] == f"picture → {target}"
    _, texts = drawn(target.read_text(encoding="utf-8"))
    assert texts[0] == lines[0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--history", "1", "--picture", "why.png"],
            "--picture why.png: pictures are SVG; give a name that ends in .svg",
        ),
        (["--history", "1", "--top", "0"], "--top 0: must be at least 1"),
        (["--history", "1", "--picture", "/proc/why.svg"], "cannot write /proc/why.svg"),
        (["--history", "no"], "--history: the model knows no item 'no'"),
    ],
)
def test_what_cannot_be_explained_is_one_line(args, words, folder):
    done = call(command.main, "--model", folder, *args)
    assert done.code == 2
    assert done.err.startswith(f"error: {words}") and done.err.count("\n") == 1
