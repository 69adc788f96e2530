"""Files that other processes read give what one process reads: data, notes and errors."""

from __future__ import annotations

import os
import pickle
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.preparation.chunks import BrokenOff, Ended
from fame.errors import UserError
from fame.tables import delimited, parquet_files
from tests.fame.datasets.files import BEGIN

ROWS_IN_BATCH = 3
KINDS = {
    "seconds": str,
    "milliseconds": lambda second: f"{second}000",
    "fractions": lambda second: f"{second}.5",
    "dates": lambda second: f"2024-01-{second % 28 + 1:02d}",
    "short dates": lambda second: f"202401{second % 28 + 1:02d}",
    "clocks": lambda second: f"2024-01-05 22:{second % 60:02d}",
    "zoned": lambda second: f"2024-01-05T22:{second % 60:02d}:00Z",
    "rounded": lambda second: f"1.7E+0{second % 9 + 1}",
}
FLAWS = (
    ("-1", " u", "NULL", '"nan"', ""),
    ("a.0", "a ", '"line\nend"', "undefined", ""),
    ("soon", "-5", "1700000000", "2024-01-05", ""),
    ("3,5", "good", ""),
)
"""Values that are noted, refused or read in another way, by column."""
ROW = st.tuples(
    st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(BEGIN, BEGIN + 50), st.sampled_from(["5", "4", "3"])
)
FILES = st.lists(st.lists(ROW, min_size=1, max_size=9), min_size=2, max_size=5)
FLAW = st.integers(0, 3).flatmap(lambda column: st.tuples(st.just(column), st.sampled_from(FLAWS[column])))
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "where": st.sampled_from(["rating <> '3'", "item <> 'a'", "\"user\" > 'u'"]),
        "min_rating": st.just(4.0),
        "mixed_times": st.just("convert"),
        "time_format": st.just("%Y-%m-%d"),
    },
)


@dataclass(frozen=True)
class Faulty:
    """An engine of processes that end in another order, cannot read some files to their end, and stop early."""

    seed: int
    share: float

    def __call__(self, reader, files):
        luck = random.Random(self.seed)
        parcels = [cloudpickle.dumps((reader, file)) for file in files]
        read = {}
        for number in luck.sample(range(len(files)), len(files)):
            its_reader, file = pickle.loads(parcels[number])
            found = [pickle.dumps(one) for one in its_reader.alone(file)]
            if luck.random() < self.share:
                found = [*found[: luck.randrange(len(found))], pickle.dumps(BrokenOff(reason="no such file"))]
            read[number] = found
        for number in range(len(files)):
            if luck.random() < self.share / 4:
                return
            for one in read[number]:
                yield number, pickle.loads(one)


SHORT = [[("u", item, BEGIN, "5")] * 4 for item in "ab"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=FILES,
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=2),
    suffix=st.sampled_from(["csv", "parquet"]),
    chosen=SETTINGS,
    flaws=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8), FLAW), max_size=1),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.0, 0.5]),
)
@example(parts=SHORT, kinds=["dates", "short dates"], suffix="csv", chosen={}, flaws=[], seed=0, share=0.0)
@example(parts=SHORT, kinds=["short dates", "dates"], suffix="csv", chosen={}, flaws=[], seed=0, share=0.0)
def test_whatever_other_processes_read_is_the_same(parts, kinds, suffix, chosen, flaws, seed, share, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_IN_BATCH", ROWS_IN_BATCH)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 128)
    files = [[[u, i, KINDS[kinds[n % len(kinds)]](t), r] for u, i, t, r in rows] for n, rows in enumerate(parts)]
    for number, row, (column, value) in flaws:
        rows = files[number % len(files)]
        rows[row % len(rows)][column] = value
    with tempfile.TemporaryDirectory() as folder:
        for number, rows in enumerate(files):
            write(Path(folder, "data", f"{number}.{suffix}"), rows)
        assert outcome(folder, chosen, Faulty(seed, share)) == outcome(folder, chosen, None)


def test_other_processes_read_all_of_good_files(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_IN_BATCH", ROWS_IN_BATCH)
    for number in range(3):
        write(tmp_path / "data" / f"{number}.parquet", [("u", f"{number} {k}", str(BEGIN + k), "5") for k in range(7)])
    found = []

    def engine(reader, files):
        for number, one in Faulty(0, 0)(reader, files):
            if number == 0:  # a file of this name is not read here again
                (tmp_path / "data" / "0.parquet").unlink(missing_ok=True)
            found.append((number, type(one)))
            yield number, one

    assert outcome(tmp_path, {}, engine)[1]["actions"] == 21
    assert [number for number, kind in found if kind is Ended] == [0, 1, 2] and len(found) == 12


def test_a_file_that_is_not_the_one_that_was_found_is_refused(tmp_path):
    for number in range(2):
        write(tmp_path / "data" / f"{number}.csv", [("u", f"{number} {k}", str(BEGIN + k), "5") for k in range(7)])

    def engine(reader, files):
        os.utime(tmp_path / "data" / "1.csv", (0, 0))
        yield from Faulty(0, 0)(reader, files)

    (said,) = outcome(tmp_path, {}, engine)
    assert said.endswith("1.csv is not the file that was found at first; start again once it is complete")


def write(path: Path, rows: list[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("user", "item", "time", "rating")
    if path.suffix == ".csv":
        path.write_text("".join(",".join(f'"{v}"' if "," in v else v for v in row) + "\n" for row in (names, *rows)))
    else:
        parquet.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)


def outcome(folder, chosen, engine) -> tuple:
    """All that a person sees of a dataset, or why it is refused."""
    said: list[str] = []
    config = DataConfig(name="own", path=str(Path(folder, "data")), core=1, repeats="keep", **chosen)
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", cache)
        try:
            dataset = load_dataset(config, report=said.append, engine=engine)
        except UserError as error:
            return (str(error),)
        return dataset.fingerprint, dict(dataset.statistics), said
