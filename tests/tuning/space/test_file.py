"""Spaces are read from files, shipped or own."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from fame.config.tree import experiment_from_dict, flatten, to_dict, write_yaml
from fame.errors import UserError
from tests.tuning.space.trees import TREE
from tuning.space.domains import Choices, FloatRange
from tuning.space.file import read_space, shipped_spaces, space_from_dict


@pytest.fixture(scope="module")
def space():
    return space_from_dict(TREE, "my.yaml")


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_read_and_start_with_complete_points(name):
    space = read_space(name)
    assert space.start
    rng = random.Random(0)
    for point in [*space.start, *(space.draw(rng) for _ in range(50))]:
        if space.problem(point) is None:
            flat = flatten(to_dict(experiment_from_dict(space.experiment(point))))
            assert all(flat[key] == value for key, value in point.items())


def test_the_papers_settings_come_first():
    for name in ("quick", "paper"):
        first = read_space(name).start[0]
        assert (first["model.heads"], first["model.experts"]) == (2, 4)


def test_reads_types_and_writes_what_it_read(space, tmp_path):
    assert space.search["model.heads"].domain == Choices((1, 2, 3, 4))
    assert space.search["backbone.lr"].domain == FloatRange(1e-4, 1e-2, log=True)
    file = tmp_path / "space.yaml"
    file.write_text(write_yaml(space.to_dict()))
    assert read_space(file) == space
    assert ("backbone.lr", "0.0001 to 0.01, log", "backbone.epochs > 0") in space.describe()


def test_a_missing_space_lists_those_that_ship(tmp_path):
    with pytest.raises(UserError, match="no space file 'papr': did you mean 'paper'"):
        read_space("papr")
    with pytest.raises(UserError, match="no such file"):
        read_space(tmp_path / "mine.yaml")


def test_reading_a_space_needs_neither_ray_nor_optuna():
    code = (
        "import sys; from tuning.space.file import read_space; read_space('fame')\n"
        "assert not {'ray', 'optuna', 'mlflow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_key_of_no_section_is_refused_with_its_line(tmp_path):
    """The sweep sets `seed` itself, so a searched one would be dropped."""
    file = tmp_path / "seeds.yaml"
    file.write_text("search:\n  train.lr: {low: 1.0e-4, high: 1.0e-2}\n  seed: {choices: [0, 1]}\n")
    with pytest.raises(UserError, match=r"seeds.yaml, line 3: search.seed: is no key of a section \(backbone, data, "):
        read_space(file)
    file.write_text("search:\n  train.lr: {choices: [1.0]}\n  train.lr: {choices: [2.0]}\n")
    with pytest.raises(UserError, match=r"the key 'train.lr' stands in line 2 and again in line 3"):
        read_space(file)
