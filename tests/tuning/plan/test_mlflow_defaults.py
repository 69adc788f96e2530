"""MLflow's own variables stand where no option is given."""

from __future__ import annotations

import os

import pytest

from fame.errors import UserError
from tuning import compare
from tuning.plan.command_line import parse


def test_mlflows_own_variables_stand_where_no_option_is_given(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    options, given = parse([])
    assert (options.tracking_uri, options.experiment, given) == ("http://host:5000", "ours", {})
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://host:5000", "Ray's processes need no password"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "secret"
    options, _ = parse(["--tracking-uri", "sqlite:///mlflow.db", "--experiment", "mine", "--no-register"])
    assert (options.tracking_uri, options.experiment, options.register) == ("sqlite:///mlflow.db", "mine", False)
    assert compare.parser().parse_args(["a"]).tracking_uri == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000?token=secret")
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI http://host:5000.token=.*holds a secret"):
        parse([])
