"""Credentials for an MLflow server. They are in the environment of the driver and nowhere else."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit, urlunsplit

from fame.errors import UserError
from fame.runtime.provenance import has_credentials, mask_credentials

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
"""Variables from which MLflow's client takes the credentials."""


def without_credentials(uri: str, source: str = "--tracking-uri") -> str:
    """Return a tracking address without credentials. User and password of an ``http(s)`` address go to the environment.

    `source` is the option or variable that holds the address.
    Raises `UserError` for a secret that MLflow cannot get in another way.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address at all: `tracking.addresses` says so
        return uri
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        os.environ |= {USERNAME: unquote(name), PASSWORD: unquote(password)}
        uri = urlunsplit(parts._replace(netloc=host))
    if has_credentials(uri):
        raise UserError(
            f"{source} {mask_credentials(uri)}: it holds a secret, which would be written into logs and records; "
            f"take it out, and set {USERNAME} and {PASSWORD}, or MLFLOW_TRACKING_TOKEN, in the environment"
        )
    return uri
