"""Passwords in a tracking address: taken out of it before anything sees it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import call
from tuning import sweep
from tuning.plan.command_line import parse
from tuning.plan.credentials import PASSWORD, USERNAME, without_credentials
from tuning.plan.new_plan import make_plan


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (USERNAME, PASSWORD):
        monkeypatch.setenv(name, "")


def test_they_go_to_the_environment_and_nowhere_else() -> None:
    options, given_ones = parse(["--tracking-uri", "https://me:p%40ss%2Fword@host:5000/mlflow"])
    assert options.tracking_uri == given_ones["tracking_uri"] == "https://host:5000/mlflow"
    assert (os.environ[USERNAME], os.environ[PASSWORD]) == ("me", "p@ss/word")
    assert "word" not in str(make_plan(options).to_record("fingerprint"))


@pytest.mark.parametrize("uri", ["http://host:5000", "sqlite:///a@b.db", "mlruns", "http://[broken"])
def test_other_addresses_stay_as_they_are(uri: str) -> None:
    assert without_credentials(uri) == uri
    assert os.environ[USERNAME] == os.environ[PASSWORD] == ""


@given(st.from_regex(r"[A-Za-z0-9._~!$&'()*+,;=%-]{6,20}", fullmatch=True))
def test_no_password_is_left(password: str) -> None:
    assert password not in without_credentials(f"http://someone:{password}@host:5000")


def test_a_secret_that_mlflow_could_not_be_given_otherwise_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(sweep.main, "--tracking-uri", "http://host:5000/?access_token=planted")
    assert done.code == 2 and done.err.startswith("error: --tracking-uri http://host:5000/?access_token=***: it holds")
    assert "planted" not in done.out + done.err and done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
