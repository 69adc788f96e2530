"""A fault goes through reports and the study as text."""

from __future__ import annotations

import math

from tuning.faults import FAULT, Fault, end

FOUND = Fault(kind="storage", reason="/a: no space left: 3 MiB free")


def test_a_fault_comes_back_from_its_text() -> None:
    assert Fault.parse(str(FOUND)) == FOUND
    assert Fault.of({FAULT: str(FOUND), "epoch": 3}) == FOUND
    assert Fault.of({"epoch": 3}) is None and Fault.of(None) is None


def test_the_last_report_of_a_fault_is_the_worst_that_schedulers_can_compare() -> None:
    last = end(FOUND, 4, "ndcg@10")
    assert (last["epoch"], last["best_ndcg@10"], Fault.of(last)) == (4, 0.0, FOUND)
    assert math.isnan(last["ndcg@10"])
