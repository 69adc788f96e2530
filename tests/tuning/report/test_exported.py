"""The exported model on the page of its sweep."""

from __future__ import annotations

from tests.tuning.report.conftest import STATISTICS, Swept
from tuning.report.page import report


def test_the_exported_model_is_there_with_its_test_metric_configuration_place_and_commands(swept: Swept):
    study = swept.trials(4)
    swept.export()
    page = report(swept.plan, swept.storage, study, STATISTICS)
    assert "<b>0.0987</b>test ndcg@10" in page and "trial 00000003" in page
    assert "name: fame\n  heads: 4" in page and f"{swept.storage.best}/config.yaml" in page
    for words in ("-m fame.train --config", "--history 8,7\n", "-m tuning.dashboards --name mine"):
        assert words in page
    rows = page[page.index("Metrics of the exported model") :]
    assert rows.index("ndcg@10") < rows.index("hr@10"), "the metric that was searched by comes first"
    assert rows.index("hr@10") < rows.index("coverage@10") < rows.index("0.2600")
