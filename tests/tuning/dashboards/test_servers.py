"""Optuna's dashboard shows a study, and cannot write to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from threading import Thread

import optuna
import pytest

from tuning.dashboards.named_study import NamedStudy
from tuning.dashboards.servers import study_pages
from tuning.dashboards.serving import free_ports
from tuning.study.reading import TRACKED
from tuning.study.trials import RAY_ID


def test_optunas_dashboard_shows_it_and_cannot_write_either(study, tmp_path):
    study.set_user_attr(TRACKED, {"experiment_id": "7", "run_id": "abc"})
    study.add_trial(optuna.create_trial(value=0.5, user_attrs={RAY_ID: "t0"}))
    before = (tmp_path / "study.log").read_bytes()
    (port,) = free_ports(1)
    with study_pages(NamedStudy(tmp_path / "study.log", "ndcg@10", "http://mlflow/"), port) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                (found,) = json.load(answer)["study_summaries"]
            assert found["study_name"] == "mine"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies/{found['study_id']}") as answer:
                shown = json.load(answer)
            assert shown["objective_names"] == ["validation ndcg@10"]
            link = "http://mlflow/#/experiments/7/runs?workflowType=machine_learning&searchFilter=tags."
            assert shown["note"]["body"].startswith(f"[Trials in MLflow, best first]({link}sweep")
            notes = [trial["note"]["body"] for trial in shown["trials"]]
            assert notes[-1].startswith(f"**t0** · t0 · [MLflow]({link}trial") and notes[:-1] == [""] * 3
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboard/") as answer:
                assert b"<html" in answer.read().lower()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/studies/{found['study_id']}/note",
                json.dumps({"body": "x", "version": 2}).encode(),
                {"content-type": "application/json"},
                method="PUT",
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            refused.value.close()
            assert refused.value.code >= 400
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "study.log").read_bytes() == before
