"""An exported folder as the registry has it."""

from __future__ import annotations

import json
import re
import shutil

from tuning.registry.exported import Exported

NDCG = "validation/ndcg_10"


def test_tags_metrics_and_parameters_are_those_of_the_exported_folder(best):
    exported, metrics = Exported.read(best), json.loads((best / "metrics.json").read_text())
    assert exported.name == "synthetic" and exported.tags["model"] == "fame"
    assert exported.tags["fingerprint"] == metrics["dataset"]["fingerprint"]
    assert exported.metrics[NDCG] == exported.metrics["best/ndcg_10"] == metrics["validation"]["ndcg@10"]
    assert exported.metrics["test/hr_5"] == metrics["test"]["hr@5"]
    assert next(iter(exported.params.items())) == ("model.name", "fame") and exported.params["model.heads"] == "2"
    assert re.fullmatch("[0-9a-f]{64}", exported.tags["weights"])


def test_a_model_with_new_items_is_of_the_weights_that_were_trained(best, tmp_path):
    assert "trained_weights" not in Exported.read(best).tags
    more = shutil.copytree(best, tmp_path / "more")
    metrics = json.loads((more / "metrics.json").read_text()) | {"new_items": {"count": 2, "weights": "abc"}}
    (more / "metrics.json").write_text(json.dumps(metrics))
    assert Exported.read(more).tags["trained_weights"] == "abc"
