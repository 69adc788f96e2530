"""The fingerprint is a hash of the content, whatever the format."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.fame.datasets.files import dataset_of

ROWS = [
    (f"u{user}", f"{item:03d}", 1_000 + 7 * item + user, 1 + item % 5) for user in range(4) for item in (5, 2, 9, 7)
]


COLUMNS = {"user": "who", "item": "what", "time": "when", "rating": "stars"}


def text(delimiter: str) -> bytes:
    lines = [COLUMNS.values(), *ROWS]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines).encode()


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(
        pa.table({n: list(v) for n, v in zip(COLUMNS.values(), zip(*ROWS, strict=True), strict=True)}), path
    )


JSON = "".join(json.dumps(dict(zip(COLUMNS.values(), row, strict=True))) + "\n" for row in ROWS).encode()


WRITERS = {
    "a.csv": lambda path: path.write_bytes(text(",")),
    "a.tsv": lambda path: path.write_bytes(text("\t")),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(text(","))),
    "bom.csv": lambda path: path.write_bytes(b"\xef\xbb\xbf" + text(",")),
    "crlf.csv": lambda path: path.write_bytes(text(",").replace(b"\n", b"\r\n")),
    "a.parquet": write_parquet,
    "a.jsonl": lambda path: path.write_bytes(JSON),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(JSON)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_the_same(name, tmp_path):
    WRITERS[name](tmp_path / name)
    dataset = dataset_of(str(tmp_path / name), columns=COLUMNS)
    assert dataset.user_ids.tolist() == ["u0", "u1", "u2", "u3"]
    assert dataset.items.ids.tolist() == ["002", "005", "007", "009"]
    assert [dataset.sequences[u].tolist() for u in range(4)] == [[1, 2, 3, 4]] * 4
    content = np.array([1, 2, 3, 4] * 4, "<i4").tobytes() + np.array([0, 4, 8, 12, 16], "<i8").tobytes()
    content += b"U4:002\x00005\x00007\x00009" + b"U4:u0\0u1\0u2\0u3"
    assert dataset.fingerprint == hashlib.sha256(content).hexdigest()[:16]
    rated = dataset_of(str(tmp_path / name), columns=COLUMNS, min_rating=2.5)
    assert rated.items.ids.tolist() == ["002", "007", "009"]
