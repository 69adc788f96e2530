"""JSON: each value keeps its type, and a field may come late."""

from __future__ import annotations

import json

from tests.fame.datasets.files import BEGIN, histories, jsonl, load, rows


def test_ids_and_titles_that_look_like_dates_stay_text(tmp_path):
    ids = ["2024-01-05", "2024-01-19", "2024-01-03", "1e5", "NaN"]
    path = jsonl(tmp_path / "a.jsonl", [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=ids)])
    items = jsonl(
        tmp_path / "items.jsonl",
        [
            {"item": i, "title": "2024-01-01", "price": p}
            for i, p in zip(ids, ["$1.99", 2, 2.5, None, True], strict=True)
        ],
    )
    dataset, _ = load(path, items=str(items))
    assert histories(dataset)["u"] == ids
    assert set(dataset.items.columns["title"]) == {"2024-01-01"}
    assert sorted(dataset.items.columns["price"]) == ["", "$1.99", "2", "2.5", "true"]


def test_a_field_that_appears_late_and_times_that_become_fractions(tmp_path):
    """After 16 MiB, in a field that nobody uses and in the time."""
    for name in ("late_field", "late_float"):
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            for k in range(180_000):
                row = {
                    "user_id": f"u{k % 3000}",
                    "item_id": f"i{k * 7 % 900}",
                    "timestamp": BEGIN + k,
                    "session": "s" * 60,
                }
                if k >= 170_000:
                    row |= (
                        {"voucher": {"code": "X"}} if name == "late_field" else {"timestamp": row["timestamp"] + 0.25}
                    )
                file.write(json.dumps(row) + "\n")
    first, second = (load(tmp_path / f"{name}.jsonl", repeats="keep")[0] for name in ("late_field", "late_float"))
    assert first.fingerprint == second.fingerprint
    assert first.statistics["actions"] == 180_000


def test_a_user_field_that_only_late_records_have_can_be_named(tmp_path):
    records = [{"x": 1}] * 30_000 + [{"u": u, "i": i, "t": t} for u, i, t in rows()]
    path = jsonl(tmp_path / "a.jsonl", records)
    named = {"user": "u", "item": "i", "time": "t"}
    assert load(path, columns=named, where="u is not null")[0].statistics["users"] == 2
