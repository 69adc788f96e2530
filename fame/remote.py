"""Object stores (`s3://…`, `gs://…`) through pyarrow: opening an address, and what a failure means.

Credentials and endpoint come from the environment of each process (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
`GOOGLE_APPLICATION_CREDENTIALS`, …). An address may name the endpoint (`?endpoint_override=host%3A9000&scheme=http`).
It must not hold a secret, because it is written into logs and records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame.errors import UserError
from fame.runtime.provenance import has_credentials, mask_credentials

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

GCS_RETRY_SECONDS = 10
"""How long Google's client tries again, if the URI does not say: by itself it would for 15 minutes."""
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
"""Words in the messages of pyarrow's clients, and what they mean."""


def is_remote(place: str) -> bool:
    """Whether a place is an address of an object store instead of a path."""
    return "://" in place and not place.startswith("file://")


def check_no_secret(option: str, uri: str) -> None:
    """Raise `UserError` if the address behind an option holds a secret."""
    if has_credentials(uri):
        raise UserError(
            f"{option} {mask_credentials(uri)}: it holds a password or key, which would be written into logs and "
            "records; take it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        )


def open_uri(uri: str) -> tuple[FileSystem, str]:
    """A file system and the path in it."""
    from pyarrow import fs

    if uri.startswith("gs://") and "retry_limit_seconds=" not in uri:
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={GCS_RETRY_SECONDS}"
    return fs.FileSystem.from_uri(uri)


def explained(error: BaseException) -> str:
    """Return an error in a few words."""
    text = " ".join(str(error).split())
    for words, meaning in FAILURES:
        if any(word in text for word in words):
            return meaning
    return mask_credentials(text)[:300]
