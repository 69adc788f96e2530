"""Addresses of object stores: which are remote, which hold a secret, and what a failure means."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from fame.remote import check_no_secret, explained, is_remote, open_uri


def test_addresses_are_told_from_paths() -> None:
    assert [is_remote(place) for place in ("s3://b/a", "gs://b", "file:///a", "/a", "a", "C:\\a")] == [True, True] + [
        False
    ] * 4


@pytest.mark.parametrize("uri", ["s3://key:planted@bucket/a", "s3://bucket/a?secret_key=planted"])
def test_a_secret_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(UserError, match=r"--data .*: it holds a password or key") as caught:
        check_no_secret("--data", uri)
    assert "planted" not in str(caught.value)
    check_no_secret("--data", "s3://bucket/a?endpoint_override=localhost%3A9000&scheme=http")


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("AWS Error NO_SUCH_BUCKET during HeadObject", "there is no such bucket"),
        ("AWS Error ACCESS_DENIED during PutObject", "access is refused: set AWS_ACCESS_KEY_ID"),
        ("curlCode: 7, Could not connect to server", "it does not answer"),
        ("something\n else with s3://key:planted@b", "something else with s3://***@b"),
    ],
)
def test_a_failure_is_explained_in_a_line(words: str, meaning: str) -> None:
    assert explained(OSError(words)).startswith(meaning)


def test_a_local_address_is_opened(tmp_path) -> None:
    system, path = open_uri(f"file://{tmp_path}")
    assert (system.type_name, path) == ("local", str(tmp_path))
