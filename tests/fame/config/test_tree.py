"""YAML and trees: what is read, overridden, or refused in one line."""

from __future__ import annotations

import contextlib
import re

import pytest

from fame.config import Experiment
from fame.config.tree import (
    apply_overrides,
    experiment_from_dict,
    key_lines,
    parse_yaml,
    read_experiment,
)
from fame.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1e3", 1000.0), ("2", 2.0), ("0.5", 0.5), ("1.0e-05", 1e-5)]
)
def test_numbers_that_yaml_reads_as_text_or_whole_are_numbers_all_the_same(text, value):
    tree = apply_overrides({}, [f"train.lr={text}"])
    assert experiment_from_dict(tree).train.lr == value
    assert isinstance(experiment_from_dict(tree).train.lr, float)


def test_a_list_of_names_may_be_a_text_with_commas():
    tree = apply_overrides({}, ["text.facets=brand, price:8", "text.columns=title"])
    found = experiment_from_dict(tree).text
    assert (found.facets, found.columns) == (("brand", "price:8"), ("title",))
    with pytest.raises(UserError, match=r"text.facets = .*: must name columns, once"):
        experiment_from_dict({"text": {"facets": "brand,brand"}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "configuration = ['a', 'b']: must be a mapping"),
        (b"just text", "configuration = 'just text': must be a mapping"),
        (b"train: {lr: [}", "is not valid YAML"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"a: !!python/object:os.system x", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_experiment_is_one_clear_line(content, message, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_experiment(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "# nothing\n", "{}"])
def test_an_empty_file_is_the_default_experiment(content, tmp_path):
    (tmp_path / "x.yaml").write_text(content)
    assert read_experiment(tmp_path / "x.yaml") == Experiment()


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*x\.yaml"):
        read_experiment(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="cannot read "):
        read_experiment(tmp_path)


def test_overrides_win_over_the_file_make_missing_sections_and_leave_the_tree_alone():
    tree = {"model": {"heads": 2}, "data": {"path": "x", "columns": {"user": "u"}}}
    overrides = ["model.heads=4", "train.lr = 1e-4", "data.columns.user=who", "evaluate.cutoffs=[3, 10]", "seed=7"]
    result = experiment_from_dict(apply_overrides(tree, overrides))
    assert (result.model.heads, result.train.lr, result.seed) == (4, 1e-4, 7)
    assert (result.data.columns, result.evaluate.cutoffs) == ({"user": "who"}, (3, 10))
    assert tree == {"model": {"heads": 2}, "data": {"path": "x", "columns": {"user": "u"}}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads", "--set 'model.heads': must look like section.key=value"),
        ("=3", "--set '=3': must look like section.key=value"),
        ("model.heads=[", "--set 'model.heads=[': the value is not valid YAML"),
        ("seed.x=1", "seed = 3: is not a section, so 'seed.x' cannot be set"),
    ],
)
def test_a_malformed_override_is_one_clear_line(override, message):
    with pytest.raises(UserError, match=re.escape(message)):
        apply_overrides({"seed": 3}, [override])


def test_a_key_that_stands_twice_is_an_error_with_both_lines(tmp_path):
    file = tmp_path / "twice.yaml"
    for text, words in (
        (
            "train: {lr: 0.1}\nmodel: {dim: 8}\ntrain: {epochs: 2}\n",
            "the key 'train' stands in line 1 and again in line 3",
        ),
        ("train:\n  lr: 0.1\n  epochs: 2\n  lr: 0.2\n", "the key 'lr' stands in line 2 and again in line 4"),
        ("train:\n  lr: 0.1\n  'lr': 0.2\n", "the key 'lr' stands in line 2 and again in line 3"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=words):
            read_experiment(file)
    with pytest.raises(UserError, match="the key 'core' stands in line 1 and again in line 1"):
        apply_overrides({}, ["data={core: 1, core: 2}"])
    merged = b"a: &a {x: 1}\nb: {<<: *a, x: 2}\n"
    assert parse_yaml(merged, "merged")["b"] == {"x": 2}


@pytest.mark.parametrize(
    "text", ["2024-13-01", "[" * 3000, "a: 0o9x", "&a [*a]", "1:2:3", "!!timestamp x", "\0", "? [a]"]
)
def test_odd_yaml_is_read_or_refused(text):
    for read in (lambda: parse_yaml(text.encode(), "odd"), lambda: apply_overrides({}, [f"train.lr={text}"])):
        with contextlib.suppress(UserError):
            read()


def test_lines_of_keys():
    assert key_lines(b"search:\n  seed: {choices: [1]}\n") == {"search": 1, "search.seed": 2, "search.seed.choices": 2}
    assert key_lines(b"") == {}
