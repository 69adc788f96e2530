"""The commands that follow a sweep name it, and what differs from the defaults."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.results.next_steps import model_commands, pages_command, resume_command
from tuning.storage.layout import Storage


def words(line: str) -> list[str]:
    """The words of a command line, from the module on."""
    found = shlex.split(line)
    return found[found.index("-m") + 1 :]


def test_a_command_has_the_options_that_differ_from_the_defaults() -> None:
    plain = make_plan(parse(["--name", "mine"])[0])
    place = Storage.of("runs", "mine")
    assert words(resume_command(plain, place)) == ["tuning.sweep", "--resume", "--name", "mine"]
    assert words(pages_command(plain, place)) == ["tuning.dashboards", "--name", "mine"]
    other = make_plan(parse(["--name", "mine", "--storage", "s3://b/my runs", "--address", "auto"])[0])
    options = ["--name", "mine", "--storage", "s3://b/my runs"]
    assert words(resume_command(other, place)) == ["tuning.sweep", "--resume", *options, "--address", "auto"]
    assert words(pages_command(other, place)) == ["tuning.dashboards", *options]


def test_the_example_is_the_most_popular_items(tmp_path: Path) -> None:
    place = Storage.of(str(tmp_path), "mine")
    place.best.mkdir(parents=True)
    catalogue = {"ids": ["a b", "c", "d", "e"], "titles": [""] * 4, "counts": [5, 1, 9, 7]}
    (place.best / "items.json").write_text(json.dumps(catalogue))
    found = model_commands(place)
    assert words(found["use"])[-2:] == ["--history", "d,e,a b"]
    assert words(found["again"]) == ["fame.train", "--config", f"{place.best}/config.yaml"]
