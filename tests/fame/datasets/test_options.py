"""The options that choose a dataset become settings."""

from __future__ import annotations

import argparse

import pytest

from fame.datasets.options import add_data_options, data_settings, parse_split
from fame.errors import UserError


def settings(*args: str) -> dict:
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    return data_settings(parser.parse_args(args))


def test_options_become_configuration_keys():
    assert settings() == {}
    assert settings("--dataset", "beauty", "--data-dir", "d") == {"data.name": "beauty", "data.dir": "d"}
    own = settings("--data", "x/clicks.csv.gz", "--columns", "user=u, item=i,time=t", "--items", "i.csv")
    assert own == {
        "data.name": "clicks",
        "data.path": "x/clicks.csv.gz",
        "data.columns": {"user": "u", "item": "i", "time": "t"},
        "data.items": "i.csv",
    }
    for text in ("user", "user=", "=a", "user=a,user=b"):
        with pytest.raises(UserError, match=r"must look like user=NAME"):
            settings("--data", "a.csv", "--columns", text)


@pytest.mark.parametrize("text", ["day", "files,test=a.csv", "time,tset=0.1", "time,test", "time,test=1,test=2"])
def test_an_option_that_names_no_split_is_one_line(text):
    with pytest.raises(UserError, match=r"--split '.*': must"):
        parse_split(text)
