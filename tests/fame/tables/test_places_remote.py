"""Data in an object store: `s3://` and `gs://` for `--data` and `--items`."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from fame.config import DataConfig
from fame.datasets import Dataset, load_dataset
from fame.datasets import __main__ as datasets
from fame.errors import UserError
from fame.remote import open_uri
from tests.commands import call
from tests.fame.datasets.forms import FORMS, columns
from tests.tuning.object_stores import BUCKET, S3, gcs_server, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server, mock.patch.dict("os.environ", server.environment):
        yield server


def upload(path, uri: str) -> str:
    """Copy a file, or a folder with all below it."""
    import pyarrow.fs as fs

    system, target = open_uri(uri)
    fs.copy_files(str(path), target, destination_filesystem=system)
    return uri


def load(path: str, **settings):
    return load_dataset(DataConfig(name="own", path=path, core=1, **settings), report=lambda line: None)


def known() -> str:
    import pyarrow as pa

    return Dataset.from_pandas(pa.table(columns()), core=1).fingerprint


@pytest.mark.parametrize(
    "form", ["CSV", "CSV, gzip", "semicolons", "JSON lines", "JSON lines, gzip", "JSON array", "Parquet", "Parquet, ns"]
)
def test_a_file_in_s3_is_the_same_dataset(form, s3, tmp_path):
    path = FORMS[form](tmp_path)
    name = path.rpartition("/")[2]
    upload(path, f"s3://{BUCKET}/one/{name}")
    assert load(f"s3://{BUCKET}/one/{name}").fingerprint == known()


def test_partitions_globs_and_several_files_in_s3(s3, tmp_path):
    upload(FORMS["Parquet, partitioned"](tmp_path), f"s3://{BUCKET}/events")
    assert load(f"s3://{BUCKET}/events").fingerprint == known()
    assert load(f"s3://{BUCKET}/events/*.parquet").fingerprint == known()
    (tmp_path / "b").mkdir()
    FORMS["a folder of CSV files"](tmp_path / "b")
    uris = [upload(tmp_path / "b" / "events" / f"part-{k}.csv", f"s3://{BUCKET}/csv/part-{k}.csv") for k in range(3)]
    assert load(",".join(uris)).fingerprint == known()
    assert load(f"s3://{BUCKET}/csv").fingerprint == known()


def test_a_changed_object_is_prepared_anew(s3, tmp_path):
    (tmp_path / "a.csv").write_text("user,item,time\n" + "".join(f"1,{i},{i}\n" for i in range(4)))
    uri = upload(tmp_path / "a.csv", f"s3://{BUCKET}/changing.csv")
    assert load(uri).statistics["actions"] == 4
    (tmp_path / "a.csv").write_text("user,item,time\n" + "".join(f"1,{i},{i}\n" for i in range(5)))
    upload(tmp_path / "a.csv", uri)
    assert load(uri).statistics["actions"] == 5


def test_items_in_s3_and_the_command(s3, tmp_path):
    uri = upload(FORMS["CSV"](tmp_path), f"s3://{BUCKET}/shop.csv")
    (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"{i},T{i}\n" for i in range(101, 121)))
    items = upload(tmp_path / "items.csv", f"s3://{BUCKET}/items.csv")
    done = call(datasets.main, "--data", uri, "--items", items, "--set", "data.core=1")
    assert done.code == 0 and done.out.startswith("shop: own data") and "item columns title" in done.out


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"s3://{BUCKET}/gone.csv", "no such file: s3://bucket/gone.csv"),
        (f"s3://{BUCKET}/gone/*.csv", "no such file: s3://bucket/gone/"),
        ("s3://no-such-bucket/a.csv", "s3://no-such-bucket/a.csv"),
        (f"s3://key:secret@{BUCKET}/a.csv", r"--data s3://\*\*\*@bucket/a.csv: it holds a password or key"),
        ("nonsense://a/b.csv", "nonsense://a/b.csv: "),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line(uri, words, s3):
    with pytest.raises(UserError, match=words) as caught:
        load(uri)
    assert "\n" not in str(caught.value) and "secret@" not in str(caught.value)


def test_gs(tmp_path):
    """The emulator answers one request at a time, so it cannot serve Parquet, which is read at several places."""
    with gcs_server() as query:
        for form in ("CSV", "JSON lines, gzip"):
            path = FORMS[form](tmp_path)
            uri = upload(path, f"gs://anonymous@{BUCKET}/{path.rpartition('/')[2]}{query}")
            assert load(uri).fingerprint == known()
