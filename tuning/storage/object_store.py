"""Small files in an object store (`s3://…`, `gs://…`) by URI, through pyarrow. Errors are one line.

Credentials and endpoint come from the environment of each process (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
`GOOGLE_APPLICATION_CREDENTIALS`, …). A URI may name the endpoint (`?endpoint_override=host%3A9000&scheme=http`). It must
not hold a secret, because it is written into all files of a sweep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fame.errors import UserError
from fame.remote import explained, open_uri
from fame.runtime.provenance import mask_credentials

OF_STORES = ("AWS Error", "google::cloud::Status")
"""Words in every message of an `OSError` from an object store."""


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
