"""Small files in an object store (`s3://…`, `gs://…`) by URI, through pyarrow. Errors are one line.

Credentials and endpoint come from the environment of each process (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
`GOOGLE_APPLICATION_CREDENTIALS`, …). A URI may name the endpoint (`?endpoint_override=host%3A9000&scheme=http`). It must
not hold a secret, because it is written into all files of a sweep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import UserError
from fame.runtime.provenance import has_credentials, mask_credentials

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

GCS_RETRY_SECONDS = 10
"""Seconds for which Google's client tries again, unless the URI says. Its own default is 15 minutes."""
FAILURES = (
    (
        ("To create buckets, enable", "NO_SUCH_BUCKET", "NoSuchBucket", "bucket does not exist"),
        "there is no such bucket",
    ),
    (
        (
            "ACCESS_DENIED",
            "ACCESS_KEY_ID",
            "SIGNATURE_DOES_NOT",
            "EXPIRED_TOKEN",
            "PERMISSION_DENIED",
            "UNAUTH",
            "OAuth2",
        ),
        "access is refused: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for gs://, GOOGLE_APPLICATION_CREDENTIALS) "
        "in the environment",
    ),
    (
        ("NETWORK_CONNECTION", "UNAVAILABLE", "Could not connect", "curlCode", "INTERNAL_FAILURE", "SLOW_DOWN"),
        "it does not answer: is the server up, and AWS_ENDPOINT_URL or endpoint_override right?",
    ),
)
"""Words in the messages of pyarrow's clients, and their meanings."""
OF_STORES = ("AWS Error", "google::cloud::Status")
"""Words in every message of an `OSError` from an object store."""


def check_uri(uri: str) -> None:
    """Raise `UserError` if a URI holds a secret."""
    if has_credentials(uri):
        raise UserError(
            f"--storage {mask_credentials(uri)}: it holds a password or key, which would be written into logs and "
            "records; take it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        )


def open_uri(uri: str) -> tuple[FileSystem, str]:
    """Return a file system and the path in it."""
    from pyarrow import fs

    if uri.startswith("gs://") and "retry_limit_seconds=" not in uri:
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={GCS_RETRY_SECONDS}"
    return fs.FileSystem.from_uri(uri)


def read(uri: str) -> bytes | None:
    """Return a file's content; None if there is no file. Raises `OSError` if the store does not answer."""
    filesystem, path = open_uri(uri)
    try:
        with filesystem.open_input_stream(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(uri: str, content: bytes) -> None:
    """Write a file. It appears whole. Raises `OSError` on failure."""
    filesystem, path = open_uri(uri)
    filesystem.create_dir(path.rpartition("/")[0])  # needed where folders are more than a part of a name
    with filesystem.open_output_stream(path) as file:
        file.write(content)


def copy_folder(folder: Path, uri: str) -> None:
    """Copy a folder's files to a URI. Raises `OSError` on failure."""
    from pyarrow import fs

    filesystem, path = open_uri(uri)
    filesystem.create_dir(path)  # needed where folders are more than a part of a name
    fs.copy_files(str(folder), path, destination_filesystem=filesystem)


def times(uri: str, name: str) -> dict[str, float]:
    """Return the times of the files `<folder>/<name>` below a URI, in seconds, by folder."""
    from pyarrow import fs

    filesystem, path = open_uri(uri)
    folders = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
    wanted = [f"{folder.path}/{name}" for folder in folders if folder.type == fs.FileType.Directory]
    found = filesystem.get_file_info(wanted)
    return {file.path.split("/")[-2]: file.mtime.timestamp() for file in found if file.is_file}


def check_writable_uri(uri: str) -> None:
    """Write a file, read it and remove it. Raises `OSError` if one of these fails."""
    filesystem, path = open_uri(uri)
    write(uri, b"written")
    if read(uri) != b"written":
        raise OSError("what was written there cannot be read back")
    filesystem.delete_file(path)


def explained(error: BaseException) -> str:
    """Return the cause of an error in a few words."""
    text = " ".join(str(error).split())
    for words, meaning in FAILURES:
        if any(word in text for word in words):
            return meaning
    return mask_credentials(text)[:300]


def is_of_store(error: BaseException) -> bool:
    """Whether an error came from an object store."""
    return isinstance(error, OSError) and any(words in str(error) for words in OF_STORES)


@contextlib.contextmanager
def one_line(uri: str) -> Iterator[None]:
    """Turn a failure of the store into a `UserError` of one line."""
    try:
        yield
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise UserError(f"{mask_credentials(uri)}: {explained(error)}") from None
